package external

import (
	"sync"
	"sync/atomic"

	"github.com/tacet-hub/tacet/broker/area"
)

// inbox is a queue of messages, bounded in number and in bytes; it drops the
// oldest and counts that. put never blocks.
type inbox struct {
	most, mostBytes int
	wake            chan struct{} // has room for one signal
	dropped         atomic.Uint64

	mu    sync.Mutex // guards what follows
	list  []area.Message
	bytes int
}

func newInbox(most, mostBytes int) *inbox {
	return &inbox{most: most, mostBytes: mostBytes, wake: make(chan struct{}, 1)}
}

func (q *inbox) put(m area.Message) {
	q.mu.Lock()
	q.list = append(q.list, m)
	q.bytes += len(m.Topic) + len(m.Payload)
	for len(q.list) > 1 && (len(q.list) > q.most || q.bytes > q.mostBytes) {
		q.pop()
		q.dropped.Add(1)
	}
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *inbox) pop() area.Message {
	m := q.list[0]
	q.list[0] = area.Message{}
	q.list = q.list[1:]
	q.bytes -= len(m.Topic) + len(m.Payload)
	return m
}

// take appends what waits to into, as long as that has room.
func (q *inbox) take(into []area.Message) []area.Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.list) > 0 && len(into) < cap(into) {
		into = append(into, q.pop())
	}
	return into
}
