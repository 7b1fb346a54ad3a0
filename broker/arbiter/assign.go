package arbiter

import (
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// deviceUp notes who can be offered work, and offers at once.
func (c *Core) deviceUp(ev DeviceUp) {
	d := c.device(ev.Device)
	if d == nil {
		return
	}
	c.away(d)
	d.connected(ev.MID, c.now)
	d.up, d.dumb, d.silent, d.location = true, ev.Dumb, ev.Silent, ev.Location
	c.presence(d, 1)
	if d.location != "" {
		c.at[d.location] = d.id
	}
	for _, w := range c.order {
		if w.device == "" && c.canBeDone(w) {
			w.seen, w.offerAt = true, c.now
		}
	}
	if d.silent {
		c.unheard()
	}
}

// presence counts a device that has come (1) or goes (-1).
func (c *Core) presence(d *device, n int) {
	if !d.dumb {
		c.present += n
	}
	if !d.dumb && !d.silent {
		c.audible += n
	}
}

// unheard tells of the orders that were held out and can sound nowhere any more.
func (c *Core) unheard() {
	for _, w := range c.order {
		if w.offered && w.device == "" && c.muteWork(w) {
			w.offered = false
			c.sayWaiting(w)
		}
	}
}

// muteWork tells whether a work has nowhere to sound, while devices are there: their
// loudspeakers are at fault.
func (c *Core) muteWork(w *work) bool {
	return w.Device == "" && w.Body.Kind != area.KindDownload && c.present > 0 && c.audible == 0
}

// sayWaiting reports that a work waits for a device, or for one that can sound.
func (c *Core) sayWaiting(w *work) {
	r := area.Report{Work: w.ID, Area: c.cfg.Area, State: area.OrderWaiting, Att: w.att}
	if c.muteWork(w) {
		r.Reason = area.EndDeviceError
	}
	c.do(Report{Report: r})
}

// deviceDown ends nothing but offers; for a dumb device it is a lost connection
// (§8.6).
func (c *Core) deviceDown(id area.DeviceID) {
	d := c.devices[id]
	if d == nil {
		return
	}
	c.away(d)
	if d.left == 0 {
		d.left = c.now
	}
	c.unheard()
	c.lost(id)
	if h := c.holder; c.mutant.willFrees && h != nil && h.device == id {
		c.free(h)
	}
}

func (c *Core) away(d *device) {
	if d.up {
		c.presence(d, -1)
	}
	if d.location != "" && c.at[d.location] == d.id {
		delete(c.at, d.location)
	}
	d.up, d.location = false, ""
}

// canBeDone tells whether somebody is there who could do the work. What may not
// sound twice, and may have sounded already, is nobody's any more: it waits for the
// word of who had it, and ends by its expiry.
func (c *Core) canBeDone(w *work) bool {
	if w.ever && w.Redo == area.RedoOnce {
		return false
	}
	if w.Device == "" {
		return c.present > 0 && !c.muteWork(w)
	}
	d := c.devices[w.Device]
	return d != nil && d.up && !d.dumb
}

// offers holds out what nobody has taken, every second: to the device that it
// names; or to its location's device, and if that has not taken it after the
// accept timeout, to the area (§3.5).
func (c *Core) offers() {
	out := 0
	for _, w := range c.order {
		if w.device != "" || !c.canBeDone(w) || c.closed {
			continue
		}
		if out++; out > mostOffers {
			return
		}
		if c.now >= w.offerAt {
			c.offer(w)
		}
	}
}

func (c *Core) offer(w *work) {
	to := w.Device
	if at := c.at[w.Location]; to == "" && w.Location != "" && at != "" && !c.devices[at].dumb && (!c.devices[at].silent || w.Body.Kind == area.KindDownload) {
		if w.alone == 0 {
			w.alone = c.now.Add(c.cfg.Accept)
		}
		if c.now < w.alone {
			to = at
		}
	}
	w.offerAt = c.now.Add(c.cfg.OfferEvery)
	c.holdOut(w, to)
	if !w.offered {
		w.offered = true
		c.do(Report{Report: area.Report{Work: w.ID, Area: c.cfg.Area, State: area.OrderOffered, Att: w.att, Reason: w.reason}})
	}
}

func (c *Core) holdOut(w *work, to area.DeviceID) {
	ttl := longTTL
	if w.expires != area.Never {
		ttl = max(time.Second, w.expires.Sub(c.now))
	}
	c.do(HoldOut{Device: to, Offer: area.Offer{Work: w.ID, Att: w.att, Dur: w.Dur, Prio: w.Prio, TTL: ttl, Body: w.Body}})
}

// take gives a work to the first who says so; it is his when the record says it
// (§8.12).
func (c *Core) take(d *device, m *area.Claim) {
	w := c.works[m.Work]
	switch {
	case w == nil && !c.hasEnded(m.Work):
		c.refuse(d, m, area.ReasonUnknownWork)
	case w == nil || m.Att != 0 && m.Att != w.att:
		c.refuse(d, m, area.ReasonExpired)
	case w.is(d.id, m.MID, m.Boot, 0) && w.granted && (c.holder == nil || c.workOf(c.holder) != w): // it has given up what it was granted, and did not get to say so
		c.refuse(d, m, area.ReasonExpired)
		c.attemptOver(w, area.EndCut)
	case w.is(d.id, m.MID, m.Boot, 0):
		w.seq, w.heard = m.Seq, c.now
		if w.told {
			c.sayAssigned(w)
		}
	case w.device != "":
		c.refuse(d, m, area.ReasonTaken)
	case w.Device != "" && w.Device != d.id:
		c.refuse(d, m, area.ReasonNotMember)
	case c.now < w.alone && c.at[w.Location] != "" && c.at[w.Location] != d.id:
		c.refuse(d, m, area.ReasonTaken)
	case c.skip(w):
		c.refuse(d, m, area.ReasonExpired)
	default:
		w.device, w.mid, w.boot, w.seq, w.heard = d.id, m.MID, m.Boot, m.Seq, c.now
		w.seen, w.recorded = true, true
		w.assigned = c.save()
		if c.mutant.tellsFirst {
			w.assigned = 0
			c.confirmWorks()
		}
	}
}

func (c *Core) refuse(d *device, m *area.Claim, reason string) {
	c.reply(d, m, area.Answer{Op: area.OpRefused, Work: m.Work, Reason: reason})
}

// confirmWorks tells the takers whose assignment is durable by now. A work that
// interrupts also interrupts its own device.
func (c *Core) confirmWorks() {
	for _, w := range c.order {
		if w.device == "" || w.told || !c.ledger.has(w.assigned) {
			continue
		}
		w.told = true
		c.sayAssigned(w)
		c.do(Report{Report: area.Report{Work: w.ID, Area: c.cfg.Area, State: area.OrderAssigned, Device: w.device, MID: w.mid, Boot: w.boot, Att: w.att}})
		if h := c.holder; h != nil && h.device == w.device && h.kind == leased && h.proposed == 0 && !h.revoked && w.IfBusy == area.BusyInterrupt &&
			h.prio <= w.Prio && h.prio.Class() < area.Emergency {
			c.counts.Preemptions++
			c.revoke(h, area.ReasonPreempt)
		}
	}
}

func (c *Core) sayAssigned(w *work) {
	c.say(w.device, area.Answer{Op: area.OpAssigned, Boot: w.boot, MID: w.mid, Ack: w.seq, Work: w.ID, Att: w.att, Dur: w.Dur, Prio: w.Prio})
}

// decline gives an assigned work back. Of reasons a device knows those that are
// about the clip; whatever else it says is its own error.
func (c *Core) decline(d *device, m *area.Claim) {
	w := c.works[m.Work]
	if w == nil || !w.is(d.id, m.MID, m.Boot, m.Att) || c.holder != nil && c.workOf(c.holder) == w {
		return
	}
	switch m.Reason {
	case area.EndClipMissing, area.EndClipHash:
		c.attemptOver(w, m.Reason)
	default:
		c.attemptOver(w, area.EndDeviceError)
	}
}

// mayWant tells whether a want is for something that may be wanted: its work's
// attempt is the device's (§8.12). Where not, it is answered here. A work that
// another arbiter has given is not ours to give: the device keeps it for that one,
// or for who inherits from it, and wants something else meanwhile.
func (c *Core) mayWant(d *device, m *area.Claim) bool {
	w := c.works[m.Work]
	switch {
	case m.Work == "" || w == nil && m.Att == 0 && !c.hasEnded(m.Work) || c.mutant.noSupersede:
		return true
	case w == nil && !c.hasEnded(m.Work) && c.now < c.started.Add(c.alive): // its work may not have been handed in yet
		c.sayQueuedTo(d, m, 0)
		return false
	case w == nil && !c.hasEnded(m.Work):
		c.refuse(d, m, area.ReasonUnknownWork)
		return false
	case w == nil || !w.is(d.id, m.MID, m.Boot, m.Att) || c.skip(w):
		c.refuse(d, m, area.ReasonSuperseded)
		return false
	}
	if m.Dur > 0 {
		w.measured = m.Dur
	}
	return true
}

// inTime judges a work's expiry, once: now that the area would be granted for it
// (§8.13). A work that has ended since it was wanted is refused.
func (c *Core) inTime(e *entry) bool {
	w := c.works[e.work]
	if w == nil || w.granted || c.now < w.expires {
		return true
	}
	if w.is(e.device, e.mid, e.boot, e.att) {
		w.ever = w.ever || w.maybe
		c.expireWork(w)
	} else {
		c.dropEntry(e.device)
	}
	return false
}

// workGranted notes that the area was granted for a work.
func (c *Core) workGranted(h *hold) {
	if w := c.workOf(h); w != nil {
		w.granted, w.maybe = true, false
	}
}

// played reports that a work sounds.
func (c *Core) played(d *device, m *area.Claim) {
	w := c.works[m.Work]
	if w == nil || !w.is(d.id, m.MID, m.Boot, m.Att) {
		return
	}
	w.granted, w.maybe, w.heard = true, false, max(w.heard, c.now)
	if m.Dur > 0 {
		w.measured = m.Dur
	}
	if !w.sounded {
		w.sounded = true
		c.do(Report{Report: area.Report{Work: w.ID, Area: c.cfg.Area, State: area.OrderPlaying, Device: w.device, MID: w.mid, Boot: w.boot, Att: w.att, Dur: w.measured}})
	}
}

// workLapsed looks after a work whose hold ended without a done. After a lease
// the device has a while to say what became of it; a hold has had its time.
func (c *Core) workLapsed(h *hold) {
	w := c.workOf(h)
	if w == nil {
		return
	}
	if w.cancelled != "" || h.kind != leased {
		c.attemptOver(w, area.EndLostContact)
	}
}

// worksRebooted ends the attempts of a start that is dead (§3.5, 3).
func (c *Core) worksRebooted(d *device) {
	for _, w := range slices.Clone(c.order) {
		if w.device == d.id && w.mid == d.mid && w.boot < d.boot && c.works[w.ID] == w {
			c.lostTaker(w)
		}
	}
}

// workDone takes what became of a work; it answers the record that has to be
// durable before the device may forget it. An older attempt ends nothing,
// unless it was played (§8.12).
func (c *Core) workDone(d *device, m *area.Claim) uint64 {
	w := c.works[m.Work]
	switch {
	case w == nil && c.hasEnded(m.Work):
		return c.newest()
	case w == nil && m.Result == area.Played && m.Work != "":
		return c.unknownDone(d.id, m)
	case w == nil || m.Result != area.Played && !w.is(d.id, m.MID, m.Boot, m.Att):
		return 0
	}
	if m.Result == area.Played {
		w.device, w.recorded = d.id, true
	}
	c.result(w, m.Result)
	return c.newest()
}

// newest is the number of the record that has all that is known now.
func (c *Core) newest() uint64 {
	if c.ledger.unsaved {
		return c.ledger.seq + 1
	}
	return c.ledger.seq
}

// result ends a work, or its attempt.
func (c *Core) result(w *work, r area.Result) {
	switch {
	case r == area.Played:
		c.endWork(w, area.OrderPlayed, "")
	case r == area.Preempted && !w.granted && !w.maybe && w.cancelled == "":
		c.again(w, area.EndPreempted) // it gave way before it had begun: no attempt is lost
	case r == area.Preempted:
		c.attemptOver(w, area.EndPreempted)
	case r == area.Stopped, w.granted && r != area.Failed:
		c.attemptOver(w, area.EndCut)
	case r == area.Expired && c.now >= w.expires && !w.maybe:
		c.expireWork(w)
	default:
		c.attemptOver(w, area.EndDeviceError)
	}
}
