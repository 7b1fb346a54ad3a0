package store

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// patience is how long what nobody waits for stays in memory, so that it can go
// with something else; and how long a full disk is left alone before the state
// is tried again.
const patience = 2 * time.Second

// gatherPart is which part of the time that the group before took the next one
// may wait until it is as large.
const gatherPart = 6

// committer writes everything that is queued as one group, and while it does
// the next group gathers. There is one for the whole file.
type committer struct {
	count *counters
	write func(*group) error    // one transaction
	room  room                  // on the file system
	state atomic.Pointer[owner] // nil: there is no state
	sick  atomic.Pointer[error] // what Trouble says of the disk

	mu      sync.Mutex
	empty   sync.Cond // the last one inside of closing has left
	next    *group
	closing *group // taken, and waited for by the committer; else nil
	taken   int64  // weight of the group that is being written
	slack   int64  // bytes that are reserved beyond what is in use
	left    int64  // bytes that the file system had left when the group that gathers began
	later   places // state that goes with the next group, or after patience
	closed  bool
	wake    chan struct{} // holds one: there is work, or the end

	// The rest belongs to run.
	failed  error         // final
	durable uint64        // position of the newest group that is on disk
	size    int           // of the group before
	took    time.Duration // to write it
}

func newCommitter(count *counters, write func(*group) error, r room) *committer {
	c := &committer{
		count: count, write: write, room: r,
		next: newGroup(1), later: places{}, wake: make(chan struct{}, 1),
	}
	c.empty.L = &c.mu
	return c
}

// change queues a change, or tells at once that it is refused. The record is
// the committer's from now on.
func (c *committer) change(p place, ch change, done func(error)) {
	if err := c.enqueue(p, ch, done); err != nil {
		c.count.refused.Add(1)
		done(err)
		return
	}
	c.signal()
}

func (c *committer) enqueue(p place, ch change, done func(error)) error {
	if len(ch.record) > maxRecord {
		return area.Errorf(area.CodeTooLarge, "record of %s has %d bytes, more than %d", p, len(ch.record), maxRecord)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return area.Errorf(area.CodeDraining, "the store is closed")
	}
	coalesced, err := c.next.add(p, ch, done)
	if err != nil {
		return err
	}
	c.count.commits.Add(1)
	if coalesced {
		c.count.coalesced.Add(1)
	}
	return nil
}

func (c *committer) signal() {
	select {
	case c.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// stop lets run finish what is queued and end.
func (c *committer) stop() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.signal()
}

// run writes groups until stop.
func (c *committer) run() {
	var ripe <-chan time.Time // when what can wait is due; nil: nothing waits
	for {
		due := false
		select {
		case <-c.wake:
		case <-ripe:
			due, ripe = true, nil
		}
		c.gather()
		g, closed := c.take(due)
		if g != nil {
			begin := time.Now()
			c.settle(g)
			c.size, c.took = g.size, time.Since(begin)
		}
		if closed {
			return
		}
		if ripe == nil && c.waits() {
			ripe = time.After(patience)
		}
	}
}

// gather waits a little for those who were in the group before and have just
// been answered: those who write one thing after the other would else be in two
// groups that take turns, each half as large. Who is alone waits for nobody.
func (c *committer) gather() {
	if c.size < 2 {
		return
	}
	enough := time.NewTimer(c.took / gatherPart)
	defer enough.Stop()
	for c.gathering() {
		select {
		case <-c.wake:
		case <-enough.C:
			return
		}
	}
}

func (c *committer) gathering() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.closed && c.next.size > 0 && c.next.size < c.size
}

// take closes the group that gathers, and waits for those inside of it. It
// answers nil where nothing has to be written now: state that nobody waits for
// can wait until it is due, and all state where the disk is full.
func (c *committer) take(due bool) (g *group, closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g = c.next
	switch {
	case c.closed || len(g.done) > 0:
	case due && (!g.idle() || len(c.later) > 0):
	case g.idle() || c.sick.Load() != nil && c.failed == nil:
		return nil, false
	}
	c.next = newGroup(g.pos + 1)
	c.closing = g
	for g.inside > 0 {
		c.empty.Wait()
	}
	c.closing, c.taken = nil, g.weight
	g.touched.addAll(c.later)
	clear(c.later)
	if g.idle() {
		return nil, c.closed
	}
	return g, c.closed
}

func (c *committer) waits() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.later) > 0 || !c.next.idle()
}

// settle writes a group and tells everybody how it went. Who is told of a failure finds
// the store in trouble.
func (c *committer) settle(g *group) {
	err := c.failed
	if err == nil {
		err = c.commit(g)
	}
	if err != nil {
		c.sick.Store(&err)
	}
	c.tell(g, err)
	switch {
	case err == nil:
		c.lookAhead()
		c.reached(g.pos)
	case area.CodeOf(err) == area.CodeDiskFull:
		c.putBack(g)
	case c.failed == nil:
		c.failed = err
		if o := c.state.Load(); o != nil {
			o.lost(c.durable+1, 1<<64-1)
		}
	}
}

// lookAhead sees the end of the disk before a group does, so that what comes
// then can be refused in words.
func (c *committer) lookAhead() {
	slack, err := c.room.ahead()
	c.mu.Lock()
	c.slack, c.taken = slack, 0
	c.mu.Unlock()
	if err = asStoreError(err); area.CodeOf(err) == area.CodeDiskFull {
		c.sick.Store(&err)
		return
	}
	c.sick.Store(nil)
}

// fits tells whether the group that gathers has room for so many bytes more.
// The mutex is held.
func (c *committer) fits(size int) error {
	if len(c.next.touched) == 0 && c.next.weight == 0 {
		c.left = c.room.left()
	}
	weight := c.next.weight + int64(size) + joinWeight
	if have, want := c.left+c.slack, groupWeight+c.taken+weight; have < want {
		return area.Errorf(area.CodeDiskFull, "store: %d bytes are left, and %d may be needed", have, want)
	}
	c.next.weight = weight
	return nil
}

func (c *committer) tell(g *group, err error) {
	if err != nil {
		c.count.failed.Add(int64(len(g.done)))
	}
	for _, f := range g.done {
		f(err)
	}
}

func (c *committer) reached(pos uint64) {
	c.durable = pos
	if o := c.state.Load(); o != nil {
		o.durable(pos)
	}
}

// putBack keeps the state of a group that did not fit: it goes with the next
// one, and its position is reached then.
func (c *committer) putBack(g *group) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next.touched.addAll(g.touched)
	c.next.weight += g.weight
	c.taken = 0
	c.next.awaited = c.next.awaited || g.awaited
}

// commit writes a group. A full disk is found before anything is written over:
// bbolt writes pages that are free and the root last, so it is the one failure
// after which the file is known to be as it was.
func (c *committer) commit(g *group) error {
	if o := c.state.Load(); o != nil {
		g.resolve(o.read)
	}
	return asStoreError(guard(func() error { return c.write(g) }))
}

func asStoreError(err error) error {
	if err == nil {
		return nil
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok && errors.Is(p.Err, syscall.ENOSPC) {
		return area.Errorf(area.CodeDiskFull, "store: %s", err)
	}
	return fmt.Errorf("store: %w", err)
}
