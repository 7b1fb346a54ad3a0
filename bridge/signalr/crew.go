package signalr

import (
	"runtime"
	"sync"
)

// crew is the goroutines that run calls. A few of them wait for the next
// connection that has some, instead of ending: a new goroutine would have to
// grow its stack for each call again.
type crew struct {
	jobs chan *Conn
	most int // goroutines that may wait

	mu      sync.Mutex
	waiting int
	closed  chan struct{} // nobody waits any more
	open    bool
	tasks   sync.WaitGroup
}

func newCrew() *crew {
	return &crew{jobs: make(chan *Conn), most: 4 * runtime.GOMAXPROCS(0), closed: make(chan struct{})}
}

// start lets goroutines wait; without it each ends with its work.
func (w *crew) start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open = true
}

// stop ends those that wait, and waits for all.
func (w *crew) stop() {
	w.mu.Lock()
	if w.open {
		w.open = false
		close(w.closed)
	}
	w.mu.Unlock()
	w.tasks.Wait()
}

// work has the calls of c run; it does not wait. c's tasks count it.
func (w *crew) work(c *Conn) {
	c.tasks.Add(1)
	w.run(c)
}

// run is work for what tasks count already.
func (w *crew) run(c *Conn) {
	select {
	case w.jobs <- c:
	default:
		w.tasks.Go(func() { w.serve(c) })
	}
}

func (w *crew) serve(c *Conn) {
	for c != nil {
		c.work()
		c.tasks.Done()
		c = w.next()
	}
}

// next waits for a connection with calls; nil ends the goroutine.
func (w *crew) next() *Conn {
	if !w.linger(1) {
		return nil
	}
	defer w.linger(-1)
	select {
	case c := <-w.jobs:
		return c
	case <-w.closed:
		return nil
	}
}

func (w *crew) linger(n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n > 0 && (!w.open || w.waiting >= w.most) {
		return false
	}
	w.waiting += n
	return true
}
