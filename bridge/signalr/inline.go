package signalr

import (
	"errors"
	"sync"
	"sync/atomic"
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

// glance is how soon the server looks for calls that take long; such a call is
// noticed at the second look. While there are none it looks half as often each
// time, down to every rareGlance: a look costs as much as ten calls where a
// processor has to be woken for it.
const (
	glance     = 2 * time.Millisecond
	rareGlance = 8 * time.Millisecond
)

// afterglow is at how many looks after its last call a connection is no longer
// watched: all that are watched are looked at.
const afterglow = 3

// patience is after how many looks at nothing the looking ends.
const patience = 12

// errRelieved ends the reading of a goroutine that is a worker now.
var errRelieved = errors.New("another goroutine reads")

// watch is the connections whose readers run calls, and those that lately did: to
// enter and leave with each call would be a lock that all connections share.
type watch struct {
	wake  chan struct{} // begin to look
	round atomic.Uint64 // of looking

	mu      sync.Mutex
	open    bool // somebody looks when he is woken
	looking bool
	every   time.Duration // until the next look
	idle    int           // looks at nothing
	conns   []*Conn
}

// watched is a connection's place among them.
type watched struct {
	on    atomic.Bool   // it has one; the watch's lock is held when this changes
	round atomic.Uint64 // in which it last began to run calls
	index int           // from 0; guarded by the watch
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
		c.watched.on.Store(false)
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
	if !c.watched.on.Load() {
		c.watched.index = len(w.conns)
		w.conns = append(w.conns, c)
		c.watched.on.Store(true)
	}
	if !w.looking {
		w.looking, w.idle, w.every = true, 0, glance
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
	if c.watched.on.Load() {
		w.drop(c)
	}
}

func (w *watch) drop(c *Conn) {
	i, last := c.watched.index, len(w.conns)-1
	w.conns[i] = w.conns[last]
	w.conns[i].watched.index = i
	w.conns[last] = nil
	w.conns = w.conns[:last]
	c.watched.on.Store(false)
}

// look hurries what takes long, and says when to look again; 0 when there is
// nothing to look for any more.
func (w *watch) look() (next time.Duration) {
	w.mu.Lock()
	round := w.round.Add(1)
	var late []*Conn
	for i := len(w.conns) - 1; i >= 0; i-- {
		c := w.conns[i]
		age := round - c.watched.round.Load()
		switch busy := c.busy(); {
		case busy && age >= 2:
			c.claim()
			late = append(late, c)
		case !busy && age >= afterglow:
			w.retire(c)
		}
	}
	if w.idle++; len(w.conns) > 0 {
		w.idle = 0
	}
	w.every = min(2*w.every, rareGlance)
	if len(late) > 0 {
		w.every = glance
	}
	if w.looking = w.idle < patience; w.looking {
		next = w.every
	}
	w.mu.Unlock()
	for _, c := range late {
		c.expedite()
	}
	return next
}

// retire drops a connection that has no calls; one that got some just now may
// have seen that it is watched, and stays.
func (w *watch) retire(c *Conn) {
	c.watched.on.Store(false)
	if c.busy() {
		c.watched.on.Store(true)
		return
	}
	w.drop(c)
}

// busy says whether the reader runs calls or is about to.
func (c *Conn) busy() bool { return c.turn.Load()&1 == 1 || c.pending.Load() != none }

// runSoon has the reader run the calls that wait, when it has read the message;
// if nobody can watch that, somebody else runs them.
func (c *Conn) runSoon() {
	if c.pending.Load() == none { // nobody but the reader ends that
		c.watched.round.Store(c.s.watch.round.Load())
		c.pending.Store(byReader)
		if c.watched.on.Load() || c.s.watch.add(c) || !c.pending.CompareAndSwap(byReader, none) {
			return
		}
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
	if c.pending.Load() == none {
		return true
	}
	c.tasks.Add(1) // before anybody else may be the reader, who waits for tasks in the end
	c.reading = l
	turn := c.turn.Add(1) // before nothing is pending: the watch sees one of the two
	if c.pending.CompareAndSwap(byReader, none) {
		c.work()
	}
	c.tasks.Done()
	return c.turn.CompareAndSwap(turn, turn+1)
}
