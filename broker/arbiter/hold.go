package arbiter

import (
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// kind is how a hold ends.
type kind string

const (
	leased  kind = "lease"   // by itself, a little after the device's own clock has ended it
	classic kind = "classic" // by false, or past its known length (§8.3)
	dumb    kind = "dumb"    // by a live 0, or past its time (§8.6)
)

// hold is the area in somebody's hands: a lease, or a hold without one.
type hold struct {
	kind   kind
	device area.DeviceID
	mid    string
	boot   uint64
	claim  uint64
	token  area.Token
	seq    uint64 // newest heard
	prio   area.Priority
	work   area.WorkID
	att    int
	dur    time.Duration
	since  area.Instant
	exp    area.Instant
	lent   area.Instant // a lease: until then by our own grants; what another arbiter granted may live to exp

	playing  bool   // the device has said so: without that a lease is not extended (§0, 11)
	covered  bool   // its lease lasts to the end of what it plays (policy finish)
	proposed uint64 // a hold that is not granted before this record is durable; 0: granted
	heard    area.Instant
	late     bool // a hold whose grant was repeated late, counted
	restored bool // read from the record
	revoked  bool
	reason   string // of the revoke

	revokedAt area.Instant
	barges    bool // granted beside a holder that did not answer
}

func (h *hold) record() holdRecord {
	return holdRecord{Kind: h.kind, Device: h.device, Boot: h.boot, MID: h.mid, Claim: h.claim, Token: h.token, Prio: int(h.prio), Work: h.work, Att: h.att,
		LeftMs: h.dur.Milliseconds()}
}

// restoreHold starts with a hold of the record; its full written time counts
// from now (§8.3).
func (c *Core) restoreHold(r holdRecord) {
	left := time.Duration(r.LeftMs) * time.Millisecond
	h := &hold{kind: r.Kind, device: r.Device, mid: r.MID, boot: r.Boot, claim: r.Claim, token: r.Token, prio: area.Priority(r.Prio), work: r.Work, att: r.Att,
		dur: left, since: c.now, exp: c.now.Add(left), playing: true, restored: true}
	if c.holder == nil && h.token != 0 {
		c.holder = h
		return
	}
	if len(c.intruders) < mostIntruders {
		c.intruders = append(c.intruders, h)
	}
}

// ready tells whether something new may be granted: nothing that sounds, or may
// sound, and a record that can be written.
func (c *Core) ready() bool {
	return c.writable() && !c.settling() && c.holder == nil && len(c.ghosts) == 0 && len(c.intruders) == 0
}

// writable tells whether the record lets us grant.
func (c *Core) writable() bool {
	return !c.closed && !c.ledger.sick && c.ledger.has(c.ledger.term)
}

// nextToken is the token of the next grant; it answers false where the term is
// used up and the next one has to be durable first (§8.18).
func (c *Core) nextToken() (area.Token, bool) {
	if c.granted == area.MaxTokenN {
		c.raise(c.term)
		return 0, false
	}
	c.granted++
	return area.MakeToken(c.term, c.granted), true
}

// next grants the area to the best of the queue, if it is free.
func (c *Core) next() {
	for c.ready() {
		e := c.best()
		if e == nil || !c.grant(e) {
			return
		}
	}
}

// grant gives the area to an entry of the queue. A work whose time is over is
// refused here and nowhere else (§8.13). It answers false where nothing can be
// granted now: for want of a token, or of a majority.
func (c *Core) grant(e *entry) bool {
	if !c.inTime(e) {
		return true
	}
	lease := c.firstLease(e)
	if !c.backs(lease) {
		return false
	}
	token, ok := c.nextToken()
	if !ok {
		return false
	}
	c.dropEntry(e.device)
	h := &hold{kind: leased, device: e.device, mid: e.mid, boot: e.boot, claim: e.claim, token: token, seq: e.seq, prio: e.prio, work: e.work, att: e.att,
		dur: e.dur, since: c.now, heard: e.heard, barges: e.barges}
	c.holder, c.dirty = h, true
	if e.hold {
		h.kind, h.dur, h.exp = classic, c.classicTime(e.dur), c.silentAt(e)
		h.proposed = c.save()
		return true
	}
	if promised := c.promise(lease); !promised || c.cfg.Reigned {
		h.exp, h.proposed = c.silentAt(e), c.writeGrant(token)
		return true
	}
	h.exp = c.now.Add(lease + c.cfg.Guard)
	h.lent = h.exp
	c.announce(h, lease)
	return true
}

// announce shows the holder to everybody, and then tells him (S3 of §3.7).
func (c *Core) announce(h *hold, lease time.Duration) {
	c.counts.Grants++
	c.show()
	c.barged(h)
	c.sayGrant(h, lease)
	c.workGranted(h)
}

func (c *Core) sayGrant(h *hold, lease time.Duration) {
	a := area.Answer{Op: area.OpGrant, Boot: h.boot, MID: h.mid, Claim: h.claim, Ack: h.seq, Token: h.token, Lease: lease}
	if h.kind != leased {
		a.Lease, a.Hold = 0, true
	}
	c.say(h.device, a)
}

// shortestLease is the least that is worth saying.
const shortestLease = time.Millisecond

// keep answers a want of the holder.
func (c *Core) keep(h *hold, d *device, m *area.Claim) {
	h.seq, h.heard = m.Seq, c.now
	switch {
	case h.proposed != 0:
		h.exp = c.now.Add(3 * c.cfg.refresh())
		c.sayQueuedTo(d, m, 1)
	case h.revoked: // level-triggered (§8.14)
		c.sayRevoke(h)
	case h.kind != leased:
		c.keepHold(h, m)
	case m.Playing:
		h.playing, d.missed = true, 0
		c.sayExtended(h, d, m)
		c.played(d, m)
	default: // it missed the grant, and gets what is left of it, never more (§3.4)
		if left := h.lent.Sub(c.now) - c.cfg.Guard; left >= shortestLease {
			c.sayGrant(h, left)
			return
		}
		c.sayQueuedTo(d, m, 1)
	}
}

// sayExtended answers a holder that plays.
func (c *Core) sayExtended(h *hold, d *device, m *area.Claim) {
	if lease := c.extend(h); lease >= shortestLease {
		c.sayGrant(h, lease)
		return
	}
	c.sayQueuedTo(d, m, 1)
}

// lapse ends a hold whose time is over. Where a lease ended without its grant
// ever having been heard, for the second time, the device is deaf: its
// connection is closed, and it comes back to the end of the queue (§3.4).
func (c *Core) lapse(h *hold) {
	switch {
	case h.proposed != 0: // whoever wanted it has gone silent
		c.free(h)
		return
	case h.kind == leased:
		c.counts.LeaseExpired++
		c.do(Remark{h.device, Unheard})
	default:
		c.counts.Intruders++ // past its time: if it still sounds, nobody can tell (§8.3)
		c.do(Remark{h.device, Overdue})
	}
	if d := c.devices[h.device]; d != nil && h.kind == leased && !h.playing {
		if d.missed++; d.missed >= 2 {
			d.missed = 0
			c.counts.Disconnects++
			c.do(Disconnect{Device: h.device})
		}
	}
	c.free(h)
	c.workLapsed(h)
}

// free ends the holder's hold.
func (c *Core) free(h *hold) {
	c.holder, c.dirty = nil, true
	if h.kind != leased {
		c.save()
	}
}

// revoke has the holder stop. Its lease is not extended any more; the area is
// free when it says done, or when the lease ends.
func (c *Core) revoke(h *hold, reason string) {
	h.revoked, h.reason, h.revokedAt = true, reason, c.now
	c.sayRevoke(h)
}

func (c *Core) sayRevoke(h *hold) {
	c.say(h.device, area.Answer{Op: area.OpRevoke, Boot: h.boot, MID: h.mid, Claim: h.claim, Ack: h.seq, Token: h.token, Stop: c.cfg.StopWithin, Reason: h.reason})
}

// preempt revokes the holder for an emergency, or for a work that interrupts.
// A hold cannot be revoked: who has it does not know how to stop (§8.3).
func (c *Core) preempt() {
	h := c.holder
	if h == nil || h.revoked || h.proposed != 0 || h.kind != leased || h.prio.Class() == area.Emergency {
		return
	}
	for _, e := range c.queue {
		if e.prio.Class() == area.Emergency || e.interrupts && h.prio <= e.prio {
			c.counts.Preemptions++
			c.revoke(h, area.ReasonPreempt)
			return
		}
	}
}

// stopPlay revokes what sounds (§3.6 of the design, areas/{a}/stop).
func (c *Core) stopPlay() {
	h := c.holder
	if h == nil || h.kind != leased || h.proposed != 0 {
		return
	}
	if w := c.workOf(h); w != nil {
		w.cancelled = area.EndStop
	}
	c.revoke(h, area.ReasonAdmin)
}
