package arbiter

import (
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// begin takes over from whoever arbitrated before: a term above his, his
// records of holds and works, and a wait in which every lease that he may have
// granted ends (COORDINATION.md §0, 6; §8.5).
func (c *Core) begin() {
	if c.begun {
		return
	}
	c.begun, c.started = true, c.now
	c.alive = c.cfg.alive()
	wait := c.alive
	clean := c.start.Clean && !c.others()
	if left := time.Duration(c.start.AliveMs) * time.Millisecond; !clean && left > c.alive {
		c.alive, wait = left, left
		if c.mutant.shortSettle {
			wait = c.cfg.alive()
		}
		if c.mutant.inheritsNone {
			c.alive = c.cfg.alive()
		}
	}
	if c.others() {
		wait = max(wait, c.theirs())
	}
	if clean || c.cfg.ColdStart || c.mutant.noSettle {
		wait = 0
	}
	c.settleUntil, c.settleFull = c.now.Add(wait), c.now.Add(wait)
	if wait > 0 {
		c.counts.Settlings++
	}
	if !c.mutant.sameTerm || c.term == 0 {
		c.term = nextTerm(max(c.term, min(c.cfg.Floor, mostTerm-termStep)), c.cfg.Index)
	}
	c.votes.backed = c.now < c.quorum()
	for _, r := range c.start.Holds {
		c.restoreHold(r)
	}
	c.dirty = true
	c.ledger.term = c.save()
}

// settling tells whether a lease that we did not grant may still be alive.
func (c *Core) settling() bool { return c.now < c.settleUntil }

// settled notes the end of a settling. Once one has run its full length, no
// lease is alive that is longer than those we grant ourselves (§8.5).
func (c *Core) settled() {
	if c.settleUntil != area.Never && c.settleUntil != 0 && !c.settling() {
		c.settleUntil, c.dirty = 0, true
	}
	if c.now < c.settleFull || c.settleFull == area.Never {
		return
	}
	c.settleFull = area.Never
	if long := c.longestAlive(); long > c.cfg.alive() { // of our own, by the policy finish
		c.settleFull = c.now.Add(long)
	} else if c.alive > c.cfg.alive() {
		c.alive = c.cfg.alive()
		c.ledger.longest = min(c.ledger.longest, c.alive)
		c.save()
	}
}

// settle grants nothing new for d.
func (c *Core) settle(d time.Duration) {
	if until := c.now.Add(d); until > c.settleUntil {
		if !c.settling() {
			c.counts.Settlings++
			c.dirty = true
		}
		c.settleUntil = until
	}
}

// heardTerm rises above a term that is not ours: somebody else arbitrates, or
// did, and what he granted has to end first (§8.2, §8.18).
func (c *Core) heardTerm(t uint64) {
	if t <= c.term || t > mostTerm-termStep {
		return
	}
	c.raise(t)
	c.settle(c.longest())
}

// raise takes our next term above t; it counts when it is durable.
func (c *Core) raise(t uint64) {
	c.term, c.granted, c.dirty = nextTerm(t, c.cfg.Index), 0, true
	c.ledger.term = c.save()
}

// newcomer waits for what the arbiter that a device comes from may have granted
// (§8.2).
func (c *Core) newcomer(m *area.Claim) {
	c.heardTerm(m.Term)
	if f := m.From; f != nil && f.Arbiter != c.cfg.Node && f.Arbiter != "" {
		if ago := time.Duration(f.AgoMs) * time.Millisecond; f.AgoMs >= 0 && f.AgoMs < c.longest().Milliseconds() {
			c.settle(c.longest() - ago)
		}
	}
}

// longest is the longest life of a lease that may be alive, whoever granted it.
func (c *Core) longest() time.Duration { return max(c.alive, c.theirs()) }

// adopt takes a device over that plays under a token of another arbiter. It
// keeps its token. The newest token wins; who is replaced stays a ghost, since
// we may have lengthened its lease (§3.4, §8.17, §8.18).
func (c *Core) adopt(d *device, m *area.Claim) bool {
	if !c.settling() || m.Token == 0 || m.Token.Term() == c.term || m.Token.Term() > mostTerm-termStep {
		return false
	}
	if h := c.holder; h != nil && h.proposed == 0 && m.Token <= h.token {
		return false
	}
	c.heardTerm(m.Token.Term())
	c.replaceHolder(m.Token)
	h := &hold{kind: leased, device: d.id, mid: m.MID, boot: m.Boot, claim: m.Claim, token: m.Token, seq: m.Seq, prio: m.Prio,
		work: m.Work, att: m.Att, dur: m.Dur, since: c.now, playing: true}
	c.holder = h
	c.dropEntry(d.id)
	c.counts.Adoptions++
	c.dirty = true
	c.show()
	c.sayExtended(h, d, m)
	if h.lent == 0 { // no majority allows more; what it has from another arbiter may live on
		h.exp = c.now.Add(c.longest())
	}
	c.played(d, m)
	return true
}

// replaceHolder makes room for a newer token. A hold of the record with an
// older one had ended when the newer was granted; a lease may still be alive.
func (c *Core) replaceHolder(newer area.Token) {
	h := c.holder
	if h == nil {
		return
	}
	c.holder = nil
	if h.kind != leased {
		c.save()
		if h.restored && h.token != 0 && newer.Term() <= c.start.Term {
			return
		}
	}
	if h.proposed == 0 && !c.mutant.noGhosts {
		c.ghosts = append(c.ghosts, h)
	}
}

// configure changes the settings. A longer lease is granted once it is durable;
// a shorter one at once, while the longer one stays in the record (§8.5).
func (c *Core) configure(cfg CoreConfig) {
	if cfg.Validate() != nil {
		return
	}
	cfg = cfg.filled()
	if cfg.alive() < c.alive {
		c.settleFull = area.Never
	}
	cfg.Area, cfg.Node, cfg.Index, cfg.Floor, cfg.ColdStart = c.cfg.Area, c.cfg.Node, c.cfg.Index, c.cfg.Floor, c.cfg.ColdStart
	c.cfg, c.dirty = cfg, true
	c.lease = min(c.lease, cfg.Lease)
	c.alive = max(c.alive, cfg.alive())
	c.ledger.lease = c.save()
}
