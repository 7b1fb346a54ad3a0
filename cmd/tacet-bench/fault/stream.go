package fault

import (
	"maps"
	"slices"
	"sync"
)

// stream is the ledger of messages that one publisher sends to one session, in
// order, numbered from 1. It is safe for concurrent use.
type stream struct {
	topic string
	once  bool // with QoS 2: none may come twice

	mu      sync.Mutex
	sent    uint64              // number of the newest that was intended
	owed    map[uint64]struct{} // acknowledged, and not delivered yet
	came    map[uint64]struct{} // delivered
	highest uint64              // number of the newest that was delivered
}

func newStream(topic string, once bool) *stream {
	return &stream{topic: topic, once: once, owed: make(map[uint64]struct{}), came: make(map[uint64]struct{})}
}

// intend gives the number of the message that is about to be sent.
func (s *stream) intend() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent++
	return s.sent
}

// ack notes that the broker has taken a message over.
func (s *stream) ack(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.came[n]; !ok {
		s.owed[n] = struct{}{}
	}
}

// arrive notes a delivery.
func (s *stream) arrive(n uint64, t *tally) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.owed, n)
	_, again := s.came[n]
	s.came[n] = struct{}{}
	switch {
	case n == 0 || n > s.sent:
		t.add(Phantom, "%s: message %d of %d", s.topic, n, s.sent)
	case again && s.once:
		t.add(Double, "%s: message %d", s.topic, n)
	case again:
	case n < s.highest:
		t.add(Disordered, "%s: message %d behind %d", s.topic, n, s.highest)
	default:
		s.highest = n
		t.add(Kept, "")
	}
}

// delivered tells whether a message has come.
func (s *stream) delivered(n uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.came[n]
	return ok
}

// owes is how many acknowledged messages have not been delivered.
func (s *stream) owes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.owed)
}

// settle judges what is still owed as lost.
func (s *stream) settle(t *tally) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range slices.Sorted(maps.Keys(s.owed)) {
		t.add(Lost, "%s: message %d of %d", s.topic, n, s.sent)
	}
	clear(s.owed)
}
