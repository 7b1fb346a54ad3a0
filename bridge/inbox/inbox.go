package inbox

import (
	"sync"
	"sync/atomic"

	"github.com/tacet-hub/tacet/broker/area"
)

// Queue is a bounded queue of messages that drops the oldest. It is safe for
// concurrent use.
type Queue struct {
	most, mostBytes int
	wake            chan struct{} // has room for one signal
	dropped         atomic.Uint64

	mu    sync.Mutex // guards what follows
	ring  []area.Message
	head  int
	n     int
	bytes int
}

// New makes an empty queue of at most so many messages, 1 and more, and bytes of
// topics and payloads.
func New(most, mostBytes int) *Queue {
	return &Queue{most: most, mostBytes: mostBytes, wake: make(chan struct{}, 1)}
}

// Put adds a message. It never blocks.
func (q *Queue) Put(m area.Message) {
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

// Take appends what waits to into, as far as that has room.
func (q *Queue) Take(into []area.Message) []area.Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.n > 0 && len(into) < cap(into) {
		into = append(into, q.pop())
	}
	return into
}

// Wake gets a signal after a message was put: Take until nothing comes, then
// wait.
func (q *Queue) Wake() <-chan struct{} { return q.wake }

// Dropped counts the messages that were dropped.
func (q *Queue) Dropped() uint64 { return q.dropped.Load() }

func size(m area.Message) int { return len(m.Topic) + len(m.Payload) }

func (q *Queue) pop() area.Message {
	m := q.ring[q.head]
	q.ring[q.head] = area.Message{}
	q.head, q.n, q.bytes = (q.head+1)%len(q.ring), q.n-1, q.bytes-size(m)
	return m
}

func (q *Queue) grow() {
	bigger := make([]area.Message, min(max(16, 2*len(q.ring)), q.most))
	for i := range q.n {
		bigger[i] = q.ring[(q.head+i)%len(q.ring)]
	}
	q.ring, q.head = bigger, 0
}
