package arbiter

import (
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

const (
	mostQueued = 256 // more are refused: queue_full
	ageStep    = 10 * time.Second
)

// entry is a device that waits for the area; a device has one at most, so that
// devices alternate.
type entry struct {
	device     area.DeviceID
	mid        string
	boot       uint64
	claim      uint64
	seq        uint64 // newest heard: what a grant acknowledges
	prio       area.Priority
	dur        time.Duration
	work       area.WorkID
	att        int
	hold       bool // a classic connection
	interrupts bool // its work pre-empts up to its own priority
	barges     bool // it is granted beside a holder that does not answer
	since      area.Instant
	heard      area.Instant
}

// enqueue takes a want into the queue, or freshens what waits there. A new
// claim of the device goes to the back, but that of an order stands before those of
// later orders.
func (c *Core) enqueue(d *device, m *area.Claim, hold bool) {
	i := slices.IndexFunc(c.queue, func(e *entry) bool { return e.device == d.id })
	if i < 0 && len(c.queue) >= mostQueued {
		c.counts.Dropped++
		c.reply(d, m, area.Answer{Op: area.OpRefused, Work: m.Work, Reason: area.ReasonQueueFull})
		return
	}
	var e *entry
	fresh := true
	switch {
	case i < 0:
		e = &entry{since: c.now}
		c.queue = append(c.queue, e)
		c.dirty = true
	case c.queue[i].claim != m.Claim || c.queue[i].boot != m.Boot:
		e = c.queue[i]
		c.queue = append(append(c.queue[:i:i], c.queue[i+1:]...), e)
		e.since, c.dirty = c.now, true
	default:
		e, fresh = c.queue[i], false
	}
	e.device, e.mid, e.boot, e.claim, e.seq, e.prio, e.dur, e.work, e.att = d.id, m.MID, m.Boot, m.Claim, m.Seq, m.Prio, m.Dur, m.Work, m.Att
	e.hold, e.heard = hold, c.now
	w := c.works[m.Work]
	e.interrupts = w != nil && w.IfBusy == area.BusyInterrupt
	c.asker = e
	if fresh && w != nil {
		c.inOrder(e)
	}
}

// inOrder has the newest entry, which is for an order, stand before the first of its
// priority that is for a later order, as if it had come with that: after a restart
// devices come back in any order, with orders that they had been given before.
func (c *Core) inOrder(e *entry) {
	at := slices.IndexFunc(c.queue, func(o *entry) bool { return o.prio == e.prio && c.earlier(e.work, o.work) })
	if at < 0 {
		return
	}
	e.since = c.queue[at].since
	last := len(c.queue) - 1
	c.queue = slices.Insert(c.queue[:last], at, e)
}

// earlier tells whether a stands before b in the order in which they were accepted.
func (c *Core) earlier(a, b area.WorkID) bool {
	i := slices.IndexFunc(c.order, func(w *work) bool { return w.ID == a || w.ID == b })
	return a != b && i >= 0 && c.order[i].ID == a && c.works[b] != nil
}

// dropEntry takes a device out of the queue.
func (c *Core) dropEntry(d area.DeviceID) *entry {
	for i, e := range c.queue {
		if e.device == d {
			c.queue = slices.Delete(c.queue, i, i+1)
			c.dirty = true
			return e
		}
	}
	return nil
}

// silentAt is when an entry is given up: three refreshes without a want (§3.4).
func (c *Core) silentAt(e *entry) area.Instant { return e.heard.Add(3 * c.cfg.refresh()) }

func (c *Core) dropSilent() {
	n := len(c.queue)
	if c.queue = slices.DeleteFunc(c.queue, func(e *entry) bool { return c.now >= c.silentAt(e) }); len(c.queue) < n {
		c.dirty = true
	}
}

// aged is an entry's priority: one more per 10 s of waiting, but never that of
// the next class (§3.4).
func (c *Core) aged(e *entry) area.Priority {
	class := e.prio.Class()
	top := area.MaxPriority
	switch class {
	case 0:
		top = area.Normal - 1
	case area.Normal:
		top = area.High - 1
	case area.High:
		top = area.Emergency - 1
	}
	return min(e.prio+area.Priority(c.now.Sub(e.since)/ageStep), max(top, e.prio))
}

// before tells whether a is granted before b: by class, then what interrupts,
// then by priority with its age, then by arrival.
func (c *Core) before(a, b *entry) bool {
	if x, y := a.prio.Class(), b.prio.Class(); x != y {
		return x > y
	}
	if a.interrupts != b.interrupts {
		return a.interrupts
	}
	return c.aged(a) > c.aged(b)
}

// best is the next of the queue; nil where nobody waits. The queue is in order
// of arrival, so that among equals the first is kept.
func (c *Core) best() (best *entry) {
	for _, e := range c.queue {
		if best == nil || c.before(e, best) {
			best = e
		}
	}
	return best
}

// rank is an entry's place, from 1.
func (c *Core) rank(e *entry) int {
	n, passed := 1, false
	for _, o := range c.queue {
		switch {
		case o == e:
			passed = true
		case c.before(o, e) || !passed && !c.before(e, o):
			n++
		}
	}
	return n
}

// ranked is the queue, the next one first.
func (c *Core) ranked() []*entry {
	if len(c.queue) == 0 {
		return nil
	}
	list := slices.Clone(c.queue)
	slices.SortStableFunc(list, func(a, b *entry) int {
		switch {
		case c.before(a, b):
			return -1
		case c.before(b, a):
			return 1
		}
		return 0
	})
	return list
}

func (c *Core) sayQueued(e *entry, pos int) {
	if c.mute() {
		pos = 0
	}
	c.say(e.device, area.Answer{Op: area.OpQueued, Boot: e.boot, MID: e.mid, Claim: e.claim, Ack: e.seq, Pos: pos})
}

func (c *Core) sayQueuedTo(d *device, m *area.Claim, pos int) {
	c.reply(d, m, area.Answer{Op: area.OpQueued, Pos: pos})
}
