package external

import (
	"context"
	"sync"
	"time"
)

// queue is what a bus has to send, bounded in messages and bytes: who puts more
// into it waits. It is a [source].
type queue struct {
	most, mostBytes int
	more            chan struct{} // has room for one signal

	mu    sync.Mutex // guards what follows
	base  uint64     // number of list[0]
	list  []outgoing
	gone  []bool // done, in the order of list
	taken int    // handed out, of list
	bytes int
	room  chan struct{} // closed when there may be room
	empty chan struct{} // closed when there is nothing; nil: nobody waits
}

func newQueue(most, mostBytes int) *queue {
	return &queue{most: most, mostBytes: mostBytes, more: make(chan struct{}, 1), base: 1, room: make(chan struct{})}
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.list)
}

// put queues a batch, all or none, when there is room. A batch that is longer than
// the bounds waits for an empty queue.
func (q *queue) put(ctx context.Context, batch []outgoing) error {
	for {
		q.mu.Lock()
		if n := sizes(batch); len(q.list) == 0 || len(q.list)+len(batch) <= q.most && q.bytes+n <= q.mostBytes {
			q.list, q.gone = append(q.list, batch...), append(q.gone, make([]bool, len(batch))...)
			q.bytes += n
			q.mu.Unlock()
			q.signal()
			return nil
		}
		room := q.room
		q.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// first queues a batch in front of everything, whatever the bounds: after a
// rewind.
func (q *queue) first(batch []outgoing) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.list, q.gone = append(batch, q.list...), append(make([]bool, len(batch)), q.gone...)
	q.bytes += sizes(batch)
	q.taken = 0
	q.base += 1 << 32 // the numbers of what was handed out before are nobody's now
	q.signal()
}

func sizes(batch []outgoing) (n int) {
	for _, m := range batch {
		n += m.size()
	}
	return n
}

func (q *queue) signal() {
	select {
	case q.more <- struct{}{}:
	default:
	}
}

func (q *queue) wake() <-chan struct{} { return q.more }

func (q *queue) next() (seq uint64, m outgoing, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.taken < len(q.list) && q.gone[q.taken] {
		q.taken++
	}
	if q.taken >= len(q.list) {
		return 0, m, false
	}
	q.taken++
	return q.base + uint64(q.taken-1), q.list[q.taken-1], true
}

func (q *queue) done(seq uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if seq < q.base || seq >= q.base+uint64(len(q.list)) {
		return
	}
	q.gone[seq-q.base] = true
	n := 0
	for n < len(q.list) && q.gone[n] {
		q.bytes -= q.list[n].size()
		q.list[n] = outgoing{}
		n++
	}
	if n == 0 {
		return
	}
	q.list, q.gone, q.base, q.taken = q.list[n:], q.gone[n:], q.base+uint64(n), q.taken-n
	close(q.room)
	q.room = make(chan struct{})
	if len(q.list) == 0 {
		q.list, q.gone = nil, nil
		if q.empty != nil {
			close(q.empty)
			q.empty = nil
		}
	}
}

func (q *queue) rewind(to uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.taken = min(q.taken, max(0, int(int64(to)-int64(q.base))))
	q.signal()
}

// drain waits until everything is done, for a second at most.
func (q *queue) drain() {
	q.mu.Lock()
	if len(q.list) == 0 {
		q.mu.Unlock()
		return
	}
	empty := make(chan struct{})
	q.empty = empty
	q.mu.Unlock()
	late := time.NewTimer(time.Second)
	defer late.Stop()
	select {
	case <-empty:
	case <-late.C:
	}
}
