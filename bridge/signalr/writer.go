package signalr

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr/transport"
)

// How a line is written: whoever queues the first frame of an empty outbox owns
// the writing until the outbox is empty again, and hands it on:
//
//	alone        a reply or an event for one: written at once by who sends it
//	small group  the same, one member after the other
//	group        to the shard of each member, whose worker writes what has queued
//	             for one connection after the other, joined, in one system call each
//	burst        as its groups are, once it ends
//	peer slow    to a goroutine that waits for the peer, and ends when all is out
//	no fd        (TLS, a pipe, other transports) to such a goroutine, too
//
// While a worker walks, more queues for those that it has not reached: the
// busier the server, the fewer system calls per event, and no timer delays
// anything.

const (
	// smallGroup is up to how many members are written to by the sender itself.
	smallGroup = 4
	// handful is how many lines are handed to a worker at once: so many that the
	// hand-over does not count, so few that it begins early.
	handful = 256
	// rounds is how often a line may be written before others have their turn.
	rounds = 4
)

// instant is a link that can be written to without waiting.
type instant interface {
	Instant() bool
	WriteNow(w *transport.Now, p []byte) (int, error)
}

// pen is what a goroutine writes with.
type pen struct {
	scratch [gather]byte
	now     transport.Now
}

var pens = sync.Pool{New: func() any { return new(pen) }}

// writers has one shard for each processor; a line always belongs to the same.
type writers struct {
	shards  []shard
	fanouts sync.Pool
	last    atomic.Uint64
	tasks   sync.WaitGroup // workers; they end before the last connection is forgotten, or soon after
}

// shard is the lines that wait for a worker, and the worker.
type shard struct {
	mu      sync.Mutex
	waiting []*line
	spare   []*line // memory of the next waiting
	working bool
	_       [64]byte // its neighbour is another processor's
}

func newWriters() *writers {
	w := &writers{shards: make([]shard, runtime.GOMAXPROCS(0))}
	w.fanouts.New = func() any { return &fanout{w: w, by: make([][]*line, len(w.shards))} }
	return w
}

// choose gives the shard of the next line.
func (w *writers) choose() int { return int(w.last.Add(1) % uint64(len(w.shards))) }

// add hands lines to a shard and makes sure that its worker runs.
func (w *writers) add(to int, lines ...*line) {
	s := &w.shards[to]
	s.mu.Lock()
	s.waiting = append(s.waiting, lines...)
	start := !s.working
	s.working = true
	s.mu.Unlock()
	if start {
		w.tasks.Go(s.work)
	}
}

// work is a worker: it ends when nothing waits.
func (s *shard) work() {
	p := pens.Get().(*pen)
	defer pens.Put(p)
	for lines := s.take(nil); lines != nil; lines = s.take(lines) {
		for _, l := range lines {
			l.flush(p, 0)
		}
	}
}

// take gets what waits and gives back the memory of what was done.
func (s *shard) take(done []*line) []*line {
	clear(done)
	s.mu.Lock()
	defer s.mu.Unlock()
	if done != nil {
		s.spare = done[:0]
	}
	if len(s.waiting) == 0 {
		s.working, s.waiting, s.spare = false, nil, nil
		return nil
	}
	lines := s.waiting
	s.waiting, s.spare = s.spare, nil
	return lines
}

// fanout collects the lines that one event has started.
type fanout struct {
	w     *writers
	small bool
	few   []*line   // of small groups
	by    [][]*line // by shard
}

// fan begins an event for n connections.
func (w *writers) fan(n int) *fanout {
	f := w.fanouts.Get().(*fanout)
	f.small = n <= smallGroup
	return f
}

// begin takes over a line whose outbox was empty.
func (f *fanout) begin(l *line) {
	if f.small {
		f.few = append(f.few, l)
		return
	}
	f.place(l)
}

// place gives a line to its shard.
func (f *fanout) place(l *line) {
	if !l.instant() {
		l.c.tasks.Go(l.drain)
		return
	}
	f.by[l.shard] = append(f.by[l.shard], l)
	if len(f.by[l.shard]) >= handful {
		f.hand(l.shard)
	}
}

func (f *fanout) hand(shard int) {
	f.w.add(shard, f.by[shard]...)
	clear(f.by[shard])
	f.by[shard] = f.by[shard][:0]
}

// end has everything written. No lock may be held.
func (f *fanout) end() {
	write := (*line).begin
	if len(f.few) > smallGroup { // several small groups of a burst are a large one
		write = f.place
	}
	for _, l := range f.few {
		write(l)
	}
	clear(f.few)
	f.few = f.few[:0]
	for i := range f.by {
		if len(f.by[i]) > 0 {
			f.hand(i)
		}
	}
	f.w.fanouts.Put(f)
}

// instant says whether the line can be written to without waiting.
func (l *line) instant() bool {
	i, ok := l.link.(instant)
	return ok && i.Instant()
}

// begin writes what was queued. The caller owns the writing; it does not wait
// for the peer, and must hold no lock.
func (l *line) begin() {
	if !l.instant() {
		l.c.tasks.Go(l.drain)
		return
	}
	p := pens.Get().(*pen)
	l.flush(p, 0)
	pens.Put(p)
}

// beginWith is begin for one message that comes before what has queued
// meanwhile; b is the caller's again when it returns.
func (l *line) beginWith(w *transport.Now, b []byte) {
	wrote, ok := l.writeNow(w, b, 1)
	if !ok || l.out.ends(wrote) {
		return
	}
	p := pens.Get().(*pen)
	l.flush(p, 0)
	pens.Put(p)
}

// flush writes what is queued without waiting; wrote is what the caller has
// written last. It ends with the outbox empty, or with somebody else who goes on.
func (l *line) flush(p *pen, wrote int) {
	for range rounds {
		batch, messages := l.out.next(wrote, p.scratch[:0])
		if batch == nil {
			return
		}
		var ok bool
		if wrote, ok = l.writeNow(&p.now, batch, messages); !ok {
			return
		}
	}
	l.out.wrote(wrote)
	l.c.s.writers.add(l.shard, l)
}

// writeNow writes a batch without waiting; ok is false when the peer does not
// take all of it at once: then somebody else goes on.
func (l *line) writeNow(w *transport.Now, batch []byte, messages uint64) (wrote int, ok bool) {
	n, err := l.link.(instant).WriteNow(w, batch)
	if err != nil {
		l.broke(err)
		return 0, true // nothing more will be written, and the outbox says so
	}
	if n < len(batch) {
		rest := bytes.Clone(batch[n:])
		l.c.tasks.Go(func() { l.finish(rest, n, messages) })
		return n, false
	}
	l.note(n, messages)
	return n, true
}

// finish writes the rest of a batch to a slow peer, and what has queued behind
// it.
func (l *line) finish(rest []byte, before int, messages uint64) {
	if err := l.write(rest); err != nil {
		l.broke(err)
		l.run(0)
		return
	}
	l.note(before+len(rest), messages)
	l.run(before + len(rest))
}

// drain writes what is queued until nothing is; it waits for the peer.
func (l *line) drain() { l.run(0) }

func (l *line) run(wrote int) {
	p := pens.Get().(*pen)
	defer pens.Put(p)
	for {
		batch, messages := l.out.next(wrote, p.scratch[:0])
		if batch == nil {
			return
		}
		wrote = 0
		if err := l.write(batch); err != nil {
			l.broke(err)
			continue
		}
		wrote = len(batch)
		l.note(wrote, messages)
	}
}

// write waits until the peer has taken everything; it fails when it takes
// nothing for TransportSendTimeout. It leaves no deadline behind that would make
// a later WriteNow fail.
func (l *line) write(batch []byte) error {
	for {
		_ = l.link.SetWriteDeadline(time.Now().Add(l.c.s.cfg.TransportSendTimeout))
		n, err := l.link.Write(batch)
		if err == nil {
			if l.instant() {
				_ = l.link.SetWriteDeadline(time.Time{})
			}
			return nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		if n == 0 || l.out.over() {
			return fmt.Errorf("%w: nothing taken for %v", ErrSlow, l.c.s.cfg.TransportSendTimeout)
		}
		batch = batch[n:]
	}
}

// note counts what was written.
func (l *line) note(n int, messages uint64) {
	c := l.c
	if n == 0 {
		return
	}
	c.wrote.Store(int64(c.s.now()))
	c.tally.bytesOut.Add(uint64(n))
	c.tally.messagesOut.Add(messages)
}
