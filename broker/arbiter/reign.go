package arbiter

import "github.com/tacet-hub/tacet/broker/area"

// reignEnd is until when this node has the area; for ever where the hub is one
// process. No lease ends after it (§8.1).
func (c *Core) reignEnd() area.Instant {
	if !c.cfg.Reigned {
		return area.Never
	}
	return c.reign
}

// writeGrant has a grant written down that waits for its record, and answers the
// record's number.
func (c *Core) writeGrant(token area.Token) uint64 {
	if c.cfg.Reigned {
		c.last = token
		return c.save()
	}
	return c.newest()
}

// writesGrant tells whether a grant waits for the ledger of the nodes: what changed
// with it is shown with it.
func (c *Core) writesGrant() bool {
	h := c.holder
	return c.cfg.Reigned && h != nil && h.kind == leased && h.proposed != 0 && !c.ledger.sick
}
