package arbiter

import (
	"cmp"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

const (
	mostAttempts = 2               // §3.5, 3
	contactSlack = 3 * time.Second // without a want, past the lease (§3.5, 3)
	mostOffers   = 16              // works held out at a time; the others wait for these
	mostEnded    = 512             // ends kept for the order service; the oldest are dropped first
	orphanAfter  = time.Minute     // of a start: by then the order service has handed in all that has not ended
	longTTL      = 24 * time.Hour  // said of a work that has no expiry
)

// work is an order on its way to a device. It has one end.
type work struct {
	area.Work
	expires area.Instant
	att     int

	// The attempt under way; no device: none is.
	device   area.DeviceID
	mid      string
	boot     uint64
	seq      uint64       // of the take
	assigned uint64       // counts once this record is durable (§8.12)
	told     bool         // and the device was told
	heard    area.Instant // newest sign of the device
	granted  bool         // the area was granted for it: its expiry is judged
	maybe    bool         // assigned by an arbiter before us, which may have granted
	sounded  bool

	ever      bool // an earlier attempt was granted, or may have been
	seen      bool // a device that could do it was there
	recorded  bool
	offered   bool
	offerAt   area.Instant
	askAt     area.Instant // its device is asked again by then
	alone     area.Instant // until then it is held out to its location's device alone
	reason    string       // why the attempt before ended
	cancelled string       // its play is being stopped for this reason
	measured  time.Duration
}

func (w *work) record() workRecord {
	return workRecord{Work: w.ID, Att: w.att, Device: w.device, Boot: w.boot, MID: w.mid, Reason: w.reason}
}

// is tells whether the attempt under way is this device's.
func (w *work) is(d area.DeviceID, mid string, boot uint64, att int) bool {
	return w.device != "" && w.device == d && w.mid == mid && w.boot == boot && (att == 0 || att == w.att)
}

// workOf is the work that a hold is for, if the attempt is the present one.
func (c *Core) workOf(h *hold) *work {
	if w := c.works[h.work]; w != nil && w.is(h.device, h.mid, h.boot, h.att) {
		return w
	}
	return nil
}

// submit takes a work in. One that an earlier arbiter had assigned stays with
// its device until that had time to speak (§8.12).
func (c *Core) submit(ev Submit) {
	id := ev.Work.ID
	if c.works[id] != nil || ev.Work.Area != c.cfg.Area {
		return
	}
	if r, ok := c.endOf(id); ok {
		c.do(Report{Report: r.report(c.cfg.Area)})
		return
	}
	w := &work{Work: ev.Work, expires: ev.Expires, att: 1, offerAt: c.now}
	if i := slices.IndexFunc(c.start.Works, func(r workRecord) bool { return r.Work == id }); i >= 0 {
		c.restoreWork(w, c.start.Works[i])
		c.start.Works = slices.Delete(c.start.Works, i, i+1)
	}
	if ev.Att > 0 && ev.Att >= w.att {
		c.restoreWork(w, ev.record())
		w.ever = w.ever || ev.Maybe
		c.save()
	}
	c.works[id] = w
	at := len(c.order)
	for at > 0 && c.order[at-1].Prio < w.Prio {
		at--
	}
	c.order = slices.Insert(c.order, at, w)
	w.seen = c.canBeDone(w)
	if r, was := c.heardOf.take(id); was {
		w.recorded = true
		c.endedElsewhere(r)
		return
	}
	if !c.skip(w) && !w.seen && w.device == "" {
		c.sayWaiting(w)
	}
}

func (c *Core) restoreWork(w *work, r workRecord) {
	w.att, w.reason, w.recorded, w.ever = r.Att, r.Reason, true, r.Att > 1
	if r.Device == "" {
		return
	}
	w.device, w.boot, w.mid, w.told, w.maybe, w.seen = r.Device, r.Boot, r.MID, true, true, true
	w.heard = max(c.now, c.settleUntil, c.started)
	if c.mutant.noTakerWait {
		w.heard = 0
	}
}

// skip ends a work that does not wait while something sounds (if_busy skip).
func (c *Core) skip(w *work) bool {
	sounds := len(c.intruders) > 0 || c.holder != nil && c.workOf(c.holder) != w
	if w.IfBusy != area.BusySkip || !sounds || w.maybe || w.granted {
		return false
	}
	c.endWork(w, area.OrderCancelled, area.EndBusy)
	return true
}

// cancel takes a work back: what plays is stopped first, and ends the work
// then.
func (c *Core) cancel(id area.WorkID, reason string) {
	w := c.works[id]
	if w == nil {
		return
	}
	if h := c.holder; h != nil && h.proposed == 0 && c.workOf(h) == w {
		w.cancelled = reason
		if h.kind == leased {
			c.revoke(h, area.ReasonAdmin)
		}
		return
	}
	c.endWork(w, area.OrderCancelled, reason)
}

// stored forgets an end that the order service has. Where the work goes on here, that
// was seen elsewhere: nobody is to play it any more.
func (c *Core) stored(id area.WorkID) {
	if w := c.works[id]; w != nil {
		c.dropWork(w)
		c.refuseWork(id, area.ReasonSuperseded)
	}
	if _, was := c.heardOf.take(id); was {
		c.save()
	}
	is := func(r workRecord) bool { return r.Work == id }
	n := len(c.ended) + len(c.start.Works)
	c.ended, c.start.Works = slices.DeleteFunc(c.ended, is), slices.DeleteFunc(c.start.Works, is)
	if len(c.ended)+len(c.start.Works) < n {
		c.save()
	}
}

// endOf is the end of a work that the order service may not have yet.
func (c *Core) endOf(id area.WorkID) (workRecord, bool) {
	for _, list := range [][]workRecord{c.ended, c.start.Works} {
		for _, r := range list {
			if r.Work == id && r.End != "" {
				return r, true
			}
		}
	}
	return workRecord{}, false
}

func (c *Core) hasEnded(id area.WorkID) bool {
	_, ok := c.endOf(id)
	return ok
}

// dropOrphans forgets the works of the record that nobody has handed in again:
// the order service has their ends.
func (c *Core) dropOrphans() {
	if len(c.start.Works) > 0 && c.now >= c.started.Add(orphanAfter) {
		c.start.Works = nil
		c.save()
	}
}

// endWork is the one end of a work. Whoever still wants the area for it is
// refused, whoever has it is stopped.
func (c *Core) endWork(w *work, end area.OrderState, reason string) {
	c.dropWork(w)
	c.do(Report{Report: area.Report{Work: w.ID, Area: c.cfg.Area, State: end, Device: w.device, Att: w.att, Reason: reason, Dur: w.measured}})
	if w.recorded {
		r := w.record()
		r.End, r.Reason, r.DurMs = end, reason, min(w.measured, longTTL).Milliseconds()
		if len(c.ended) >= mostEnded {
			c.ended = slices.Delete(c.ended, 0, 1)
		}
		c.ended = append(c.ended, r)
	}
	why := area.ReasonSuperseded
	if end == area.OrderExpired {
		why = area.ReasonExpired
	}
	c.refuseWork(w.ID, why)
}

// dropWork has a work be nobody's to do.
func (c *Core) dropWork(w *work) {
	delete(c.works, w.ID)
	if i := slices.Index(c.order, w); i >= 0 {
		c.order = slices.Delete(c.order, i, i+1)
	}
	if w.recorded {
		c.save()
	}
}

// refuseWork takes a work's claims back.
func (c *Core) refuseWork(id area.WorkID, reason string) {
	for _, e := range slices.Clone(c.queue) {
		if e.work == id {
			c.dropEntry(e.device)
			c.say(e.device, area.Answer{Op: area.OpRefused, Boot: e.boot, MID: e.mid, Claim: e.claim, Ack: e.seq, Work: id, Reason: reason})
		}
	}
	h := c.holder
	switch {
	case h == nil || h.work != id:
	case h.proposed != 0:
		c.free(h)
	case h.kind == leased && !h.revoked:
		c.revoke(h, area.ReasonStale)
	}
}

// expireWorks ends the works whose time is over before the area was granted for
// them, and the attempts of devices that are no longer heard (§3.5, §8.13).
func (c *Core) expireWorks() {
	for i := 0; i < len(c.order); {
		w := c.order[i]
		switch {
		case !w.granted && !w.maybe && c.now >= w.expires:
			c.expireWork(w)
		case w.device != "" && c.now >= c.contactUntil(w):
			c.lostTaker(w)
		default:
			i++
			continue
		}
		i = 0 // the list has changed
	}
}

func (c *Core) expireWork(w *work) {
	switch {
	case w.ever: // it was granted once, and lost: never "expired" (§8.13)
		c.endWork(w, area.OrderFailed, cmp.Or(w.reason, area.EndLostContact))
	case !w.seen && c.muteWork(w):
		c.endWork(w, area.OrderFailed, area.EndDeviceError)
	case !w.seen:
		c.endWork(w, area.OrderFailed, area.EndNoDevice)
	default:
		c.endWork(w, area.OrderExpired, "")
	}
}

// contactUntil is when an assigned work's device is given up. Its hold comes
// first: a lease ends sooner, and a hold lives without being heard.
func (c *Core) contactUntil(w *work) area.Instant {
	if h := c.holder; h != nil && h.work == w.ID && w.is(h.device, h.mid, h.boot, h.att) {
		return area.Never
	}
	return w.heard.Add(c.cfg.Lease + contactSlack)
}

// nextWork is when a work needs to be looked at again.
func (c *Core) nextWork() area.Instant {
	next, out := area.Never, 0
	if len(c.start.Works) > 0 {
		next = c.started.Add(orphanAfter)
	}
	for _, w := range c.order {
		if !w.granted && !w.maybe {
			next = min(next, w.expires)
		}
		if w.device != "" {
			next = min(next, c.contactUntil(w))
		} else if out < mostOffers && c.canBeDone(w) {
			out++
			next = min(next, w.offerAt)
		}
	}
	return next
}

// lostTaker gives the device of a work up. An attempt begins with the grant: where
// there was none nothing can have sounded, and none is lost.
func (c *Core) lostTaker(w *work) {
	if w.granted || w.maybe || w.cancelled != "" {
		c.attemptOver(w, area.EndLostContact)
		return
	}
	c.again(w, area.EndLostContact)
}

// attemptOver ends an attempt: the work is held out again, at most once more,
// and never if it may not sound twice (§3.5, 3 and 4).
func (c *Core) attemptOver(w *work, reason string) {
	sounded := w.granted || w.maybe
	w.ever = w.ever || sounded
	switch {
	case w.cancelled != "":
		c.endWork(w, area.OrderCancelled, w.cancelled)
	case w.att >= mostAttempts || sounded && w.Redo == area.RedoOnce:
		c.endWork(w, area.OrderFailed, reason)
	default:
		w.att++
		c.again(w, reason)
	}
}

// again waits for a device anew.
func (c *Core) again(w *work, reason string) {
	begun, by := w.granted || w.maybe || w.sounded, w.device
	w.device, w.mid, w.boot, w.assigned, w.told, w.granted, w.maybe, w.sounded, w.offered = "", "", 0, 0, false, false, false, false, false
	w.reason, w.offerAt, w.alone = reason, c.now, 0
	c.do(Report{Report: area.Report{Work: w.ID, Area: c.cfg.Area, State: area.OrderWaiting, Att: w.att, Reason: reason}, Begun: begun, By: by})
	if w.recorded {
		c.save()
	}
	c.refuseWork(w.ID, area.ReasonSuperseded)
}
