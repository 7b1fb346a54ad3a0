package arbiter

import (
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

const (
	classicSlack  = 5 * time.Second // of a known length, and of a grant's delivery (§8.3)
	mostIntruders = 64
)

// classicTime is how long a classic device may hold: its known length and a
// quarter, or the longest where it is not known (§8.3).
func (c *Core) classicTime(dur time.Duration) time.Duration {
	if dur <= 0 {
		return c.cfg.ClassicHold
	}
	return dur + dur/4 + classicSlack
}

// confirmHold grants what had to wait for the record; its time counts from now.
// Where something else sounds by now, the proposal is dropped: the device still
// wants, and waits.
func (c *Core) confirmHold() {
	h := c.holder
	if h == nil || h.proposed == 0 || !c.ledger.has(h.proposed) {
		return
	}
	if c.closed || c.settling() || len(c.ghosts) > 0 && !h.barges || len(c.intruders) > 0 {
		c.free(h)
		return
	}
	if h.kind == leased {
		c.confirmLease(h)
		return
	}
	h.proposed, h.since, h.exp = 0, c.now, c.now.Add(h.dur)
	c.dirty = true
	c.announce(h, 0)
}

// keepHold answers a want of a classic holder. A grant that is repeated late
// lets it sound past its time: an intruder, counted (§8.3).
func (c *Core) keepHold(h *hold, m *area.Claim) {
	if m.Playing {
		h.playing = true
		if d := c.devices[h.device]; d != nil {
			c.played(d, m)
		}
	} else if !h.late && c.now.Sub(h.since) > classicSlack {
		h.late = true
		c.counts.Intruders++
		c.do(Remark{h.device, Overdue})
	}
	c.sayGrant(h, 0)
}

// set is a dumb device's word. A 1 in an idle area makes it the holder; while
// another holds it sounds anyway, and nothing is granted until both have ended
// (§3.4). Both are written down (§8.6).
func (c *Core) set(ev Set) {
	switch {
	case ev.On:
		c.sounds(ev.Device)
	case ev.Will:
		c.lost(ev.Device)
	default:
		c.silent(ev.Device)
	}
}

func (c *Core) sounds(d area.DeviceID) {
	if c.clean {
		return
	}
	if h := c.holdOf(d); h != nil {
		if h.kind == dumb {
			h.exp = c.now.Add(h.dur)
		}
		return
	}
	if h := c.holder; h != nil && h.device == d {
		return // it follows the protocol, and has the area
	}
	if len(c.intruders) == mostIntruders {
		c.counts.Dropped++
		return
	}
	h := &hold{kind: dumb, device: d, prio: area.Normal, dur: c.cfg.DumbMost, since: c.now, exp: c.now.Add(c.cfg.DumbMost), playing: true}
	c.dirty = true
	c.save()
	if c.ready() {
		if token, ok := c.nextToken(); ok {
			h.token = token
			c.holder = h
			c.counts.Grants++
			return
		}
	}
	c.counts.Intruders++
	c.do(Remark{d, Unentitled})
	c.intruders = append(c.intruders, h)
}

// lost shortens a dumb device's hold: it may still sound for a while (§8.6).
func (c *Core) lost(d area.DeviceID) {
	if h := c.holdOf(d); h != nil && h.kind == dumb {
		h.exp = min(h.exp, c.now.Add(c.cfg.DumbHold))
	}
}

// silent ends the hold of a dumb or classic device.
func (c *Core) silent(d area.DeviceID) {
	for i, h := range c.intruders {
		if h.device == d {
			c.intruders = append(c.intruders[:i:i], c.intruders[i+1:]...)
			c.dirty = true
			c.save()
			return
		}
	}
	if h := c.holder; h != nil && h.device == d && h.kind != leased && h.proposed == 0 {
		c.free(h)
		if w := c.workOf(h); w != nil {
			c.result(w, area.Played)
		}
	}
}

// holdOf is the hold without a lease that d has, as holder or as intruder.
func (c *Core) holdOf(d area.DeviceID) *hold {
	if h := c.holder; h != nil && h.device == d && h.kind != leased {
		return h
	}
	for _, h := range c.intruders {
		if h.device == d {
			return h
		}
	}
	return nil
}
