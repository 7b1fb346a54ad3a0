package office

import (
	"io"
	"sync"
)

// queue is frames on their way to the other end. It is safe for concurrent use;
// put does not block.
type queue struct {
	wake chan struct{}

	mu     sync.Mutex
	list   [][]byte
	bytes  int
	closed bool
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

// spare is kept free of words for the trunk, for what the ends say of themselves.
const spare = 64

// put adds a frame; false: there is no room.
func (q *queue) put(f frame) bool {
	b, most := f.encode(), MostFrames
	if f.Op == opTrunk {
		most -= spare
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(b) > MostFrame || len(q.list) >= most || q.bytes+len(b) > MostBytes {
		return q.closed // what is said to who is gone is not missed
	}
	q.list, q.bytes = append(q.list, b), q.bytes+len(b)
	q.poke()
	return true
}

// close has write end once everything is written.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.poke()
}

func (q *queue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take answers everything that waits, and whether nothing comes after it.
func (q *queue) take() (list [][]byte, last bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	list, q.list, q.bytes = q.list, nil, 0
	return list, q.closed
}

// write writes what is put until the queue is closed, or w fails, and closes w.
func (q *queue) write(w io.WriteCloser) error {
	defer w.Close()
	for range q.wake {
		list, last := q.take()
		for _, b := range list {
			if _, err := w.Write(b); err != nil {
				q.close() // nobody is to wait
				return err
			}
		}
		if last {
			return nil
		}
	}
	return nil
}
