package bridge

import (
	"sync"
	"sync/atomic"

	"github.com/tacet-hub/tacet/broker/area"
)

// letters is what changed since the mailbox was emptied.
type letters struct {
	roster  bool                    // something of it
	sensors map[area.DeviceID]bool  // which, and whether it is urgent
	busy    map[area.Name]area.Busy // newest of each area
	raw     map[area.Name][]byte    // its payload, as it is
	orders  []area.Order            // each change, oldest first
}

// mailbox gathers changes until the view takes them: the newest of each thing,
// and orders one by one, bounded; it drops the oldest. Its methods never block.
type mailbox struct {
	most    int
	wake    chan struct{} // has room for one signal
	dropped atomic.Uint64

	mu sync.Mutex // guards l
	l  letters
}

func newMailbox(most int) *mailbox {
	return &mailbox{most: most, wake: make(chan struct{}, 1), l: newLetters()}
}

func newLetters() letters {
	return letters{sensors: map[area.DeviceID]bool{}, busy: map[area.Name]area.Busy{}, raw: map[area.Name][]byte{}}
}

// take empties the mailbox.
func (m *mailbox) take() letters {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.l
	m.l = newLetters()
	return l
}

// write changes the letters and wakes the view.
func (m *mailbox) write(change func(l *letters)) {
	m.mu.Lock()
	change(&m.l)
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *mailbox) roster() { m.write(func(l *letters) { l.roster = true }) }

func (m *mailbox) sensor(d area.DeviceID, urgent bool) {
	m.write(func(l *letters) { l.sensors[d] = l.sensors[d] || urgent })
}

func (m *mailbox) order(o area.Order) {
	m.write(func(l *letters) {
		if len(l.orders) >= m.most {
			l.orders = l.orders[1:]
			m.dropped.Add(1)
		}
		l.orders = append(l.orders, o)
	})
}

// heard takes a retained busy; the hub alone writes it, so there are as many as
// areas. What cannot be read, or is of another area than its topic, is not the
// arbiter's and is left out.
func (m *mailbox) heard(msg area.Message) {
	b, err := area.ParseBusy(msg.Payload)
	if err != nil || b.Area != area.ParseTopic(msg.Topic).Area {
		return
	}
	m.write(func(l *letters) {
		if was, ok := l.busy[b.Area]; !ok || !was.Newer(b) {
			l.busy[b.Area], l.raw[b.Area] = b, msg.Payload
		}
	})
}
