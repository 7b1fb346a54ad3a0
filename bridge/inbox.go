package bridge

import (
	"sync"
	"sync/atomic"

	"github.com/tacet-hub/tacet/broker/area"
)

// inbox is a queue of messages, bounded in number and in bytes; it drops the
// oldest. It is safe for concurrent use and put never blocks.
type inbox struct {
	most, mostBytes int
	wake            chan struct{} // has room for one signal
	dropped         atomic.Uint64

	mu    sync.Mutex // guards what follows
	ring  []area.Message
	head  int
	n     int
	bytes int
}

func newInbox(most, mostBytes int) *inbox {
	return &inbox{most: most, mostBytes: mostBytes, wake: make(chan struct{}, 1)}
}

func size(m area.Message) int { return len(m.Topic) + len(m.Payload) }

func (q *inbox) put(m area.Message) {
	q.mu.Lock()
	q.bytes += size(m)
	for q.n > 0 && (q.n >= q.most || q.bytes > q.mostBytes) {
		q.pop()
		q.dropped.Add(1)
	}
	if q.n == len(q.ring) {
		q.grow()
	}
	q.ring[(q.head+q.n)%len(q.ring)] = m
	q.n++
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *inbox) pop() area.Message {
	m := q.ring[q.head]
	q.ring[q.head] = area.Message{}
	q.head, q.n, q.bytes = (q.head+1)%len(q.ring), q.n-1, q.bytes-size(m)
	return m
}

func (q *inbox) grow() {
	bigger := make([]area.Message, min(max(16, 2*len(q.ring)), q.most))
	for i := range q.n {
		bigger[i] = q.ring[(q.head+i)%len(q.ring)]
	}
	q.ring, q.head = bigger, 0
}

// take appends what waits to into, as long as that has room.
func (q *inbox) take(into []area.Message) []area.Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.n > 0 && len(into) < cap(into) {
		into = append(into, q.pop())
	}
	return into
}
