package replay

import (
	"container/list"
	"sync"

	"github.com/tacet-hub/tacet/bridge/signalr"
)

// Marks remembers where somebody left a group, for as many as it may: one more
// makes it forget the mark that was set longest ago, whose owner is then told of a
// gap. It is safe for concurrent use.
type Marks struct {
	most int

	mu    sync.Mutex // guards what follows
	all   map[mark]*list.Element
	order *list.List // of marked; the newest in front
}

type mark struct{ who, group string }

type marked struct {
	mark
	at signalr.Position
}

// NewMarks makes an empty list of marks; most 0 means 100,000.
func NewMarks(most int) *Marks {
	if most <= 0 {
		most = 100_000
	}
	return &Marks{most: most, all: map[mark]*list.Element{}, order: list.New()}
}

// Set remembers where somebody left a group; a later word replaces an earlier
// one.
func (m *Marks) Set(who, group string, at signalr.Position) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := mark{who, group}
	if e := m.all[k]; e != nil {
		m.order.Remove(e)
	}
	m.all[k] = m.order.PushFront(marked{k, at})
	if m.order.Len() > m.most {
		delete(m.all, m.order.Remove(m.order.Back()).(marked).mark)
	}
}

// Get answers where somebody left a group; false where that is not known.
func (m *Marks) Get(who, group string) (signalr.Position, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.all[mark{who, group}]
	if e == nil {
		return signalr.Position{}, false
	}
	return e.Value.(marked).at, true
}
