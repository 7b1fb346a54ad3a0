package external

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// Table keeps small records by key, in the order of their keys. PutAsync and
// DeleteAsync do not block; done is called once.
type Table interface {
	Load(each func(key string, value []byte) error) error
	PutAsync(key string, value []byte, done func(error))
	DeleteAsync(key string, done func(error))
}

// ripe is how long a message waits until it is written to the disk: on a link that
// works nothing is.
const ripe = 500 * time.Millisecond

// parcelCost is what a message takes beside topic and payload.
const parcelCost = 64

// spool is what a bridge has to send, bounded in bytes, and on disk where it waits
// for long. Over the bound the oldest that is not on its way is dropped and
// counted. It is a [source].
type spool struct {
	prefix string // of the keys
	most   int
	table  Table
	log    *slog.Logger
	more   chan struct{} // has room for one signal

	mu      sync.Mutex // guards what follows
	after   uint64     // number of the next parcel
	list    []parcel
	taken   int // handed out, of list
	bytes   int
	dropped uint64
}

type parcel struct {
	seq     uint64
	at      time.Time
	m       outgoing
	written bool
	gone    bool // done, behind one that is not
}

func (p parcel) size() int { return p.m.size() + parcelCost }

// openSpool reads what was left on the disk.
func openSpool(name string, most int, table Table, log *slog.Logger) (*spool, error) {
	s := &spool{prefix: name + "/", most: most, table: table, log: log, more: make(chan struct{}, 1), after: 1}
	err := table.Load(func(key string, value []byte) error {
		text, ours := strings.CutPrefix(key, s.prefix)
		if !ours {
			return nil
		}
		var seq uint64
		if _, err := fmt.Sscanf(text, "%016x", &seq); err != nil {
			return nil
		}
		m, err := parseParcel(value)
		if err != nil {
			log.Warn("message that waited for a broker cannot be read", "rule", name, "err", err)
			return nil
		}
		s.after = max(s.after, seq+1)
		s.list = append(s.list, parcel{seq: seq, m: m, written: true})
		s.bytes += s.list[len(s.list)-1].size()
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.signal()
	return s, nil
}

func (s *spool) key(seq uint64) string { return fmt.Sprintf("%s%016x", s.prefix, seq) }

func (s *spool) signal() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

func (s *spool) wake() <-chan struct{} { return s.more }

// put queues a message; it does not block.
func (s *spool) put(m outgoing, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := parcel{seq: s.after, at: now, m: m}
	s.after++
	for s.bytes+p.size() > s.most && s.taken < len(s.list) {
		s.remove(s.taken)
		s.dropped++
	}
	if s.bytes+p.size() > s.most {
		s.dropped++ // everything else is on its way
		return
	}
	s.list = append(s.list, p)
	s.bytes += p.size()
	s.signal()
}

// remove forgets a parcel, on disk too. mu is held.
func (s *spool) remove(i int) {
	p := s.list[i]
	s.list = slices.Delete(s.list, i, i+1)
	s.bytes -= p.size()
	if p.written {
		s.table.DeleteAsync(s.key(p.seq), s.noted)
	}
}

func (s *spool) next() (seq uint64, m outgoing, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.taken < len(s.list) && s.list[s.taken].gone {
		s.taken++
	}
	if s.taken >= len(s.list) {
		return 0, m, false
	}
	p := s.list[s.taken]
	s.taken++
	return p.seq, p.m, true
}

func (s *spool) done(seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := slices.BinarySearchFunc(s.list, seq, func(p parcel, seq uint64) int { return int(int64(p.seq) - int64(seq)) })
	if !ok {
		return
	}
	s.list[i].gone = true
	for len(s.list) > 0 && s.list[0].gone {
		s.remove(0)
		s.taken--
	}
}

func (s *spool) rewind(to uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.taken > 0 && s.list[s.taken-1].seq >= to {
		s.taken--
	}
	s.signal()
}

// keepMost is how many messages are given to the disk at a time.
const keepMost = 4096

// keep writes what has waited for long to the disk, all of it where the hub ends.
func (s *spool) keep(now time.Time, all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for i := range s.list {
		p := &s.list[i]
		if p.written || p.gone {
			continue
		}
		if !all && now.Sub(p.at) < ripe {
			return // as are those behind it
		}
		if n++; n > keepMost && !all {
			return // the rest is for the next time
		}
		p.written = true
		s.table.PutAsync(s.key(p.seq), p.m.parcel(), s.noted)
	}
}

// noted hears what became of a change on disk: on the store's goroutine, or on
// ours with mu held.
func (s *spool) noted(err error) {
	if err != nil {
		s.log.Warn("what waits for a broker is not on disk", "rule", strings.TrimSuffix(s.prefix, "/"), "err", err)
	}
}

func (s *spool) counts() (waiting int, dropped uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.list), s.dropped
}

// parcel is a message as it is on disk: one byte for quality and retain, the
// length of the topic in two, topic, payload.
func (m outgoing) parcel() []byte {
	b := make([]byte, 0, 3+len(m.topic)+len(m.payload))
	flags := m.qos
	if m.retain {
		flags |= 1 << 2
	}
	b = append(b, flags)
	b = binary.BigEndian.AppendUint16(b, uint16(len(m.topic)))
	return append(append(b, m.topic...), m.payload...)
}

func parseParcel(b []byte) (m outgoing, err error) {
	if len(b) < 3 || b[0] > 6 || b[0]&3 == 3 || len(b) < 3+int(binary.BigEndian.Uint16(b[1:])) {
		return m, errors.New("malformed")
	}
	n := int(binary.BigEndian.Uint16(b[1:]))
	return outgoing{qos: b[0] & 3, retain: b[0]&(1<<2) != 0, topic: string(b[3 : 3+n]), payload: slices.Clone(b[3+n:])}, nil
}
