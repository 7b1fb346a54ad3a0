package signalr

import (
	"errors"
	"sync"
	"time"
)

// A call that comes alone, as most do, is run by the reader's own goroutine when
// it has read the whole message: waking another one costs more than a short
// method does. Nobody can know beforehand that a method is short, so somebody
// looks: when a call takes longer than an instant, another goroutine becomes the
// connection's reader, and the one that was goes on as a worker.
//
// What waits to be run so is pending; turn is odd while it runs. Whoever makes
// it even decides: the reader himself, then he reads on, or who relieves him.

// glance is how often the server looks for calls that take long; such a call is
// noticed at the second look.
const glance = 2 * time.Millisecond

// patience is after how many looks at nothing it ends.
const patience = 50

// errRelieved ends the reading of a goroutine that is a worker now.
var errRelieved = errors.New("another goroutine reads")

// watch is the connections whose reader runs calls, or is about to.
type watch struct {
	wake chan struct{} // begin to look

	mu      sync.Mutex
	open    bool // somebody looks when he is woken
	looking bool
	round   uint64
	idle    int
	conns   []*Conn
}

// watched is a connection's place among them, guarded by the watch.
type watched struct {
	index int // from 1; 0 is none
	round uint64
}

func newWatch() *watch { return &watch{wake: make(chan struct{}, 1)} }

// start says that somebody will look.
func (w *watch) start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open = true
}

// stop relieves every reader; from now on none runs calls.
func (w *watch) stop() {
	w.mu.Lock()
	w.open = false
	conns := w.conns
	w.conns = nil
	for _, c := range conns {
		c.watched.index = 0
		c.claim()
	}
	w.mu.Unlock()
	for _, c := range conns {
		c.expedite()
	}
}

// add begins to watch c; false when nobody would look.
func (w *watch) add(c *Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.open {
		return false
	}
	w.conns = append(w.conns, c)
	c.watched = watched{len(w.conns), w.round}
	if !w.looking {
		w.looking, w.idle = true, 0
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// remove ends the watch of c, if there is one.
func (w *watch) remove(c *Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop(c)
}

func (w *watch) drop(c *Conn) {
	i := c.watched.index
	if i == 0 {
		return
	}
	last := len(w.conns) - 1
	w.conns[i-1] = w.conns[last]
	w.conns[i-1].watched.index = i
	w.conns[last] = nil
	w.conns = w.conns[:last]
	c.watched.index = 0
}

// look hurries what takes long; false when there is nothing to look for any
// more.
func (w *watch) look() bool {
	w.mu.Lock()
	w.round++
	var late []*Conn
	for i := len(w.conns) - 1; i >= 0; i-- {
		if c := w.conns[i]; c.watched.round+2 <= w.round {
			w.drop(c)
			c.claim()
			late = append(late, c)
		}
	}
	if w.idle++; len(w.conns) > 0 || len(late) > 0 {
		w.idle = 0
	}
	w.looking = w.idle < patience
	more := w.looking
	w.mu.Unlock()
	for _, c := range late {
		c.expedite()
	}
	return more
}

// runSoon has the reader run the calls that wait, when it has read the message;
// if nobody can watch that, somebody else runs them.
func (c *Conn) runSoon() {
	if c.pending.CompareAndSwap(none, byReader) {
		if c.s.watch.add(c) {
			return
		}
		c.pending.Store(none)
	}
	c.s.crew.work(c)
}

// The values of pending: who is to run the calls.
const (
	none     = 0
	byReader = 1
	byCrew   = 2 // and tasks counts it already
)

// claim takes pending calls from the reader. The watch's lock is held: so the
// reader cannot end without having seen that tasks counts them.
func (c *Conn) claim() {
	if c.pending.CompareAndSwap(byReader, byCrew) {
		c.tasks.Add(1)
	}
}

// expedite has claimed calls run, or relieves the reader that runs some.
func (c *Conn) expedite() {
	if c.pending.CompareAndSwap(byCrew, none) {
		c.s.crew.run(c)
		return
	}
	c.relieve()
}

// settle has pending calls run by somebody else: the reader is going to wait, or
// to end.
func (c *Conn) settle() {
	if c.pending.Load() == none {
		return
	}
	c.s.watch.remove(c) // after a claim that was under way
	if c.pending.CompareAndSwap(byReader, none) {
		c.s.crew.work(c)
	}
}

// relieve makes another goroutine the reader when the one that is runs a call.
func (c *Conn) relieve() {
	turn := c.turn.Load()
	if turn&1 == 0 || !c.turn.CompareAndSwap(turn, turn+1) {
		return
	}
	c.s.watch.remove(c)
	l := c.reading
	c.s.readers.Go(func() { c.serveOn(l, l.read()) })
}

// runPending runs calls in the goroutine of the reader; false when it is none
// any more.
func (c *Conn) runPending(l *line) bool {
	if !c.pending.CompareAndSwap(byReader, none) {
		return true
	}
	c.tasks.Add(1)
	c.reading = l
	turn := c.turn.Add(1)
	c.work()
	c.tasks.Done()
	if !c.turn.CompareAndSwap(turn, turn+1) {
		return false
	}
	c.s.watch.remove(c)
	return true
}
