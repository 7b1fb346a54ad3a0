package arbiter

import "github.com/tacet-hub/tacet/broker/area"

// barge grants the area to an emergency that has waited for a revoked holder as
// long as the area's option allows; the two may sound at once. It is the one
// deliberate exception (COORDINATION.md §3.4), flagged in busy and counted.
func (c *Core) barge() {
	e, at := c.bargeAt()
	if e == nil || c.now < at {
		return
	}
	if !c.inTime(e) || !c.backs(c.firstLease(e)) {
		return
	}
	if h := c.holder; h != nil {
		c.ghosts = append(c.ghosts, h)
		c.holder = nil
	}
	e.barges = true
	c.grant(e)
}

// barged declares a grant beside those that may sound still.
func (c *Core) barged(h *hold) {
	if !h.barges || len(c.ghosts) == 0 {
		return
	}
	c.counts.Barges++
	for _, g := range c.ghosts {
		c.do(Barged{Device: h.device, Over: g.device, Token: h.token, Work: h.work})
	}
}

// bargeAt is the emergency that may barge in, and when; nil: none may. What
// cannot be revoked is waited for: a hold without a lease sounds for sure.
func (c *Core) bargeAt() (*entry, area.Instant) {
	if c.cfg.Barge == 0 || c.settling() || !c.writable() || len(c.intruders) > 0 || c.holder == nil && len(c.ghosts) == 0 {
		return nil, area.Never
	}
	e := c.best()
	if e == nil || e.prio.Class() != area.Emergency || e.hold {
		return nil, area.Never
	}
	from := e.since
	if h := c.holder; h != nil {
		if h.kind != leased || !h.revoked {
			return nil, area.Never
		}
		from = max(from, h.revokedAt)
	}
	return e, from.Add(c.cfg.Barge)
}
