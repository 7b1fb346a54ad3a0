package reign

import (
	"bytes"
	"context"
	"sync"

	"github.com/tacet-hub/tacet/broker/area"
)

// Memory is the ledger of nodes of one process. Its zero value is ready. It can be
// made to fail, as a server does.
type Memory struct {
	mu      sync.Mutex
	entries map[area.Name]entry
	link    uint64
	away    bool
	loses   bool
}

type entry struct {
	head      string
	core, led []byte
}

var _ Store = (*Memory)(nil)

// Away has every call fail, until it is told otherwise. The connection is another
// one afterwards.
func (m *Memory) Away(away bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away = away; away {
		m.link++
	}
}

// LoseAnswers has every change be done and its answer be lost.
func (m *Memory) LoseAnswers(loses bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.loses = loses; loses {
		m.link++
	}
}

// Flush forgets everything.
func (m *Memory) Flush() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries = nil
}

// Heads implements [Store].
func (m *Memory) Heads(_ context.Context, areas []area.Name) (heads []string, link uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return nil, 0, ErrAway
	}
	for _, a := range areas {
		heads = append(heads, m.entries[a].head)
	}
	return heads, m.link + 1, nil
}

// Swap implements [Store].
func (m *Memory) Swap(_ context.Context, list []Change) (out []Result, link uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return nil, 0, ErrAway
	}
	for _, c := range list {
		out = append(out, m.swap(c))
	}
	if m.loses {
		return nil, 0, ErrAway
	}
	return out, m.link + 1, nil
}

func (m *Memory) swap(c Change) Result {
	e := m.entries[c.Area]
	r := Result{Done: e.head == c.Was && (c.Link == 0 || c.Link == m.link+1), Found: e.head}
	if c.Read {
		r.Core, r.Led = bytes.Clone(e.core), bytes.Clone(e.led)
	}
	if !r.Done {
		return r
	}
	e.head = c.Head
	if c.Core != nil {
		e.core = bytes.Clone(c.Core)
	}
	if c.Led != nil {
		e.led = bytes.Clone(c.Led)
	}
	if m.entries == nil {
		m.entries = map[area.Name]entry{}
	}
	m.entries[c.Area] = e
	return r
}
