package shared

import (
	"bytes"
	"context"
	"maps"
	"strconv"
	"sync"
	"time"
)

// Memory is what nodes of one process have in common. Its zero value is ready. It can
// be made to fail, as a server does. It keeps the newest 1,024 changes.
type Memory struct {
	mu    sync.Mutex
	data  map[Name]Entry
	line  []Change
	first int // number of line[0]
	life  int
	away  bool
	loses bool
	more  chan struct{} // closed when there are changes, or something is the matter
}

const memoryKept = 1024

var _ Common = (*Memory)(nil)

// Away has every call fail, until it is told otherwise.
func (m *Memory) Away(away bool) { m.upset(func() { m.away = away }) }

// LoseAnswers has every change be done and its answer be lost.
func (m *Memory) LoseAnswers(loses bool) { m.upset(func() { m.loses = loses }) }

// Flush forgets everything.
func (m *Memory) Flush() {
	m.upset(func() {
		m.data = nil
		m.first, m.line = m.first+len(m.line)+1, nil
		m.life++
	})
}

// Snapshot answers what sets everything back to what it is now.
func (m *Memory) Snapshot() (restore func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, life := maps.Clone(m.data), m.life
	return func() {
		m.upset(func() {
			m.data, m.life = maps.Clone(data), life
			m.first, m.line = m.first+len(m.line)+1, nil
		})
	}
}

func (m *Memory) upset(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
	m.wake()
}

func (m *Memory) wake() {
	if m.more != nil {
		close(m.more)
		m.more = nil
	}
}

// Mark implements [Common].
func (m *Memory) Mark(context.Context) (mark, epoch string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return "", "", ErrAway
	}
	return strconv.Itoa(m.first + len(m.line)), strconv.Itoa(m.life), nil
}

// Stamps implements [Common].
func (m *Memory) Stamps(_ context.Context, table string) (map[string]Stamp, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return nil, ErrAway
	}
	out := map[string]Stamp{}
	for n, e := range m.data {
		if n.Table == table {
			out[n.Key] = e.Stamp
		}
	}
	return out, nil
}

// Read implements [Common].
func (m *Memory) Read(_ context.Context, names []Name) (list []Entry, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return nil, ErrAway
	}
	for _, n := range names {
		if e, ok := m.data[n]; ok {
			list = append(list, e)
		}
	}
	return list, nil
}

// Merge implements [Common].
func (m *Memory) Merge(_ context.Context, list []Entry) (newer []Entry, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return nil, ErrAway
	}
	for _, e := range list {
		was := m.data[e.Name]
		switch c := e.Compare(was.Stamp); {
		case c < 0:
			newer = append(newer, was)
		case c > 0:
			m.put(e)
		}
	}
	if m.loses {
		return nil, ErrAway
	}
	return newer, nil
}

// Swap implements [Common].
func (m *Memory) Swap(_ context.Context, was Stamp, e Entry) (found Entry, done bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return Entry{}, false, ErrAway
	}
	is := m.data[e.Name]
	if is.Stamp != was {
		return is, false, nil
	}
	m.put(e)
	if m.loses {
		return Entry{}, false, ErrAway
	}
	return Entry{}, true, nil
}

func (m *Memory) put(e Entry) {
	if m.data == nil {
		m.data = map[Name]Entry{}
	}
	if e.Value = bytes.Clone(e.Value); e.Value == nil && !e.Gone {
		e.Value = []byte{}
	}
	m.data[e.Name] = e
	if m.line = append(m.line, Change{e.Name, e.Stamp}); len(m.line) > memoryKept {
		m.line = m.line[1:]
		m.first++
	}
	m.wake()
}

// Since implements [Common].
func (m *Memory) Since(ctx context.Context, mark string) (list []Change, next string, err error) {
	from, err := strconv.Atoi(mark)
	if err != nil {
		return nil, "", ErrGap
	}
	limit := time.NewTimer(time.Second)
	defer limit.Stop()
	for {
		list, next, more, err := m.since(from)
		if err != nil || len(list) > 0 {
			return list, next, err
		}
		select {
		case <-more:
		case <-limit.C:
			return nil, mark, nil
		case <-ctx.Done():
			return nil, mark, ctx.Err()
		}
	}
}

func (m *Memory) since(from int) (list []Change, next string, more chan struct{}, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch at := from - m.first; {
	case m.away:
		return nil, "", nil, ErrAway
	case at < 0 || at > len(m.line):
		return nil, "", nil, ErrGap
	default:
		list = append(list, m.line[at:]...)
	}
	if m.more == nil {
		m.more = make(chan struct{})
	}
	return list, strconv.Itoa(m.first + len(m.line)), m.more, nil
}

// Forget implements [Common].
func (m *Memory) Forget(_ context.Context, list []Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return ErrAway
	}
	for _, c := range list {
		if m.data[c.Name].Stamp == c.Stamp {
			delete(m.data, c.Name)
		}
	}
	return nil
}
