package arbiter

import (
	"slices"

	"github.com/tacet-hub/tacet/broker/area"
)

// want answers a device that wants the area, or wants to keep it.
func (c *Core) want(d *device, m *area.Claim, hold bool) {
	c.newcomer(m)
	c.contact(d, m)
	if m.Claim <= d.done {
		c.reply(d, m, area.Answer{Op: area.OpReleased})
		return
	}
	if h := c.holder; h != nil && h.device == d.id && h.boot == m.Boot && h.mid == m.MID {
		switch {
		case m.Claim == h.claim:
			c.keep(h, d, m)
			return
		case m.Claim < h.claim:
			c.reply(d, m, area.Answer{Op: area.OpReleased})
			return
		}
		c.free(h) // a later claim of the same start: the earlier one is over
		c.workLapsed(h)
	}
	if m.Playing {
		c.playsUnheld(d, m)
		return
	}
	if c.mayWant(d, m) {
		c.enqueue(d, m, hold)
	}
}

// playsUnheld answers a device that plays and is not the holder: it is adopted,
// or has no right (§3.4). A ghost was counted when it became one.
func (c *Core) playsUnheld(d *device, m *area.Claim) {
	if c.adopt(d, m) {
		return
	}
	ghost := slices.ContainsFunc(c.ghosts, func(h *hold) bool { return h.device == d.id && h.boot == m.Boot && h.claim == m.Claim })
	if !ghost {
		c.counts.Conflicts++
		c.do(Remark{d.id, Unentitled})
	}
	c.reply(d, m, area.Answer{Op: area.OpRevoke, Token: m.Token, Stop: c.cfg.StopWithin, Reason: area.ReasonStale})
}

// done ends a claim, and with it what was claimed before it. It is always
// answered by released, once the end of its work is durable (§8.12, §8.16).
func (c *Core) done(d *device, m *area.Claim) {
	ends := func(h *hold) bool {
		return h.device == d.id && h.boot == m.Boot && h.mid == m.MID && m.Claim >= h.claim
	}
	if h := c.holder; h != nil && ends(h) {
		c.free(h)
	}
	c.ghosts = slices.DeleteFunc(c.ghosts, ends)
	if i := slices.IndexFunc(c.queue, func(e *entry) bool { return e.device == d.id && e.boot == m.Boot && e.claim <= m.Claim }); i >= 0 {
		c.dropEntry(d.id)
	}
	d.done = max(d.done, m.Claim)
	c.release(d, m, c.workDone(d, m))
}

// endOld hears the done of a start or a machine that is no longer the name's,
// where it still holds the area: only that and its lease end such a hold
// (§8.8).
func (c *Core) endOld(d *device, m *area.Claim) bool {
	if d.known && m.MID == d.mid && m.Boot == d.boot {
		return false
	}
	ends := func(h *hold) bool {
		return h.device == d.id && h.kind == leased && h.boot == m.Boot && h.mid == m.MID && m.Claim == h.claim && m.Token == h.token
	}
	found := false
	if h := c.holder; h != nil && ends(h) && d.known {
		found = true
		c.free(h)
	}
	n := len(c.ghosts)
	if c.ghosts = slices.DeleteFunc(c.ghosts, ends); len(c.ghosts) < n {
		found = true
	}
	if found {
		c.release(d, m, c.workDone(d, m))
	}
	return found
}
