package arbiter

import "time"

// MostFinish is the longest lease that the policy finish makes of a known
// length; an announcement that lasts longer may be cut when the hub is lost.
const MostFinish = 2 * time.Minute

const (
	finishSlack = 2 * time.Second // to hear the grant, begin to sound, and be silent again
	finishDrift = 100             // 1/100 for the clocks: twice rho, and as much for a player's rate
)

// finishLease is a lease in which dur can be played to its end without another
// word of the arbiter (policy finish, COORDINATION.md §3.6). It is at least
// least, and counts from a want that is age old.
func (c *Core) finishLease(least, dur, age time.Duration) time.Duration {
	if !c.cfg.Finish || dur <= 0 {
		return least
	}
	return max(least, min(dur+dur/finishDrift+age+finishSlack, max(MostFinish, c.cfg.Lease)))
}

// others tells whether other arbiters may have granted the area.
func (c *Core) others() bool { return c.cfg.Others || len(c.votes.voters) > 0 }

// theirs is how long a lease of another arbiter of the area can live; votes have
// to outlive our own that are as long.
func (c *Core) theirs() time.Duration {
	if c.cfg.Finish && (c.others() || c.cfg.Strict) {
		return max(c.cfg.Lease, MostFinish) + c.cfg.Guard
	}
	return c.cfg.alive()
}

// firstLease is the lease of a new grant; a hold has none.
func (c *Core) firstLease(e *entry) time.Duration {
	if e.hold {
		return 0
	}
	return c.finishLease(min(c.cfg.StartLease, c.lease), e.dur, c.now.Sub(e.heard))
}

// extend has the lease of a holder that plays count from now, and answers how
// long it is. When it says so for the first time it may just have begun; from then
// on what is left covers the rest. Until a longer one is durable it gets the
// usual one. Where no majority stands for longer, it is what is left, which may
// be nothing.
func (c *Core) extend(h *hold) time.Duration {
	left := h.lent.Sub(c.now) - c.cfg.Guard
	lease := max(c.lease, left)
	if !h.covered {
		if long := c.finishLease(c.lease, h.dur, 0); c.promise(long) {
			lease, h.covered = max(lease, long), c.backs(long)
		}
	}
	if lease = c.within(lease); lease <= left {
		return left
	}
	h.lent = c.now.Add(lease + c.cfg.Guard)
	h.exp = max(h.exp, h.lent)
	return lease
}

// promise tells whether a lease may be granted now: the longest that may be alive
// is durable before a longer one is (§8.5). Where not, it is written.
func (c *Core) promise(lease time.Duration) bool {
	if lease+c.cfg.Guard <= c.ledger.longest || c.mutant.longAtOnce {
		return true
	}
	if lease+c.cfg.Guard > c.alive {
		c.alive = lease + c.cfg.Guard
		c.save()
	}
	return false
}

// confirmLease grants a lease that had to wait for the record. Where something
// else sounds by now, the proposal is dropped: the device still wants, and waits.
func (c *Core) confirmLease(h *hold) {
	lease := c.firstLease(&entry{dur: h.dur, heard: h.heard})
	if !c.backs(lease) {
		c.free(h)
		return
	}
	if !c.promise(lease) {
		h.proposed = c.newest() // its want has grown old meanwhile
		return
	}
	h.proposed, h.since, h.exp = 0, c.now, c.now.Add(lease+c.cfg.Guard)
	h.lent = h.exp
	c.dirty = true
	c.announce(h, lease)
}

// longestAlive is how long the longest lease that we have granted lives yet.
func (c *Core) longestAlive() (d time.Duration) {
	for _, h := range append([]*hold{c.holder}, c.ghosts...) {
		if h != nil && h.kind == leased && h.proposed == 0 {
			d = max(d, h.exp.Sub(c.now))
		}
	}
	return d
}
