package arbiter

import "sync"

// mailbox is the inbox of one area's goroutine. What must not be lost (commits,
// works, presence) is always taken: there is little of it, bounded by what was
// asked for. What devices say over the network is taken up to a bound and then
// dropped and counted, since every device says it again.
type mailbox struct {
	wake chan struct{} // holds one signal

	mu    sync.Mutex
	must  []Event
	heard []Event
	most  int
	drops uint64
}

func newMailbox(most int) *mailbox {
	return &mailbox{wake: make(chan struct{}, 1), most: most}
}

// put takes an event that must not be lost. It never blocks.
func (m *mailbox) put(ev Event) {
	m.mu.Lock()
	m.must = append(m.must, ev)
	m.mu.Unlock()
	m.signal()
}

// hear takes an event that will come again; where the box is full it is dropped.
// It never blocks, and tells whether there was room.
func (m *mailbox) hear(ev Event) bool {
	m.mu.Lock()
	room := len(m.heard) < m.most
	if room {
		m.heard = append(m.heard, ev)
	} else {
		m.drops++
	}
	m.mu.Unlock()
	m.signal()
	return room
}

// take empties the box, what must not be lost first.
func (m *mailbox) take(into []Event) []Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	into = append(append(into, m.must...), m.heard...)
	clear(m.must)
	clear(m.heard)
	m.must, m.heard = m.must[:0], m.heard[:0]
	return into
}

func (m *mailbox) dropped() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.drops
}

func (m *mailbox) signal() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}
