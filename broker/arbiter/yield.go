package arbiter

import (
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Yielded is what an arbiter leaves to another one, who takes the area from it.
type Yielded struct {
	Term  uint64
	Alive time.Duration // a lease that it granted may live for so long
	Holds []area.Hold   // without a lease, and how much of their time is left
	Works []Submit      // without an end, in their order

	// Record is for the ledger: what the next arbiter here starts with. It has
	// neither the holds nor the works.
	Record []byte

	unheard []workRecord // of the record, not handed in again since the start
}

// Yield ends the reign in favour of another arbiter. The core must not be
// stepped any more.
func (c *Core) Yield(now area.Instant) Yielded {
	c.now = now
	y := Yielded{Term: c.term, Alive: c.alive, Holds: c.Holds(now)}
	for _, w := range c.order {
		y.Works = append(y.Works, w.handed())
	}
	r := record{Term: c.term, AliveMs: c.alive.Milliseconds(), Works: c.ended}
	for _, w := range c.start.Works {
		if w.End != "" {
			r.Works = append(r.Works, w)
		} else {
			y.unheard = append(y.unheard, w)
		}
	}
	y.Record = r.encode()
	return y
}

// Alive is the longest life of a lease that may be alive, guard included.
func (c *Core) Alive() time.Duration { return c.alive }

// Holds are the holds without a lease, with what is left of them.
func (c *Core) Holds(now area.Instant) (list []area.Hold) {
	add := func(h *hold) {
		if h == nil || h.kind == leased || h.proposed != 0 || now >= h.exp {
			return
		}
		list = append(list, area.Hold{
			Kind: string(h.kind), Device: h.device, Boot: h.boot, MID: h.mid, Claim: h.claim, Token: h.token, Prio: h.prio,
			LeftMs: h.exp.Sub(now).Milliseconds(), Work: h.work, Att: h.att,
		})
	}
	add(c.holder)
	for _, h := range c.ghosts {
		add(h)
	}
	for _, h := range c.intruders {
		add(h)
	}
	return list
}

// inherit counts what the arbiter before left behind.
func (c *Core) inherit(ev Inherit) {
	for _, h := range ev.Holds {
		if c.holdOf(h.Device) != nil || h.LeftMs <= 0 {
			continue
		}
		c.restoreHold(recordOf(h))
		c.dirty = true
		c.save()
	}
	if ev.Settle > c.alive {
		c.alive, c.settleFull = ev.Settle, c.now.Add(ev.Settle)
		c.save()
	}
	if ev.Settle > 0 {
		c.settle(ev.Settle)
	}
}

// recordOf is a hold that is handed over, as a record has it.
func recordOf(h area.Hold) holdRecord {
	return holdRecord{
		Kind: kind(h.Kind), Device: h.Device, Boot: h.Boot, MID: h.MID, Claim: h.Claim, Token: h.Token, Prio: int(h.Prio), LeftMs: h.LeftMs, Work: h.Work, Att: h.Att,
	}
}

// endedElsewhere ends a work whose end another arbiter has seen.
func (c *Core) endedElsewhere(r area.Report) {
	w := c.works[r.Work]
	if w == nil {
		c.hears(r)
		return
	}
	if !r.State.Ended() {
		return
	}
	if r.Device != "" {
		w.device = r.Device
	}
	w.att, w.measured = max(w.att, r.Att), max(w.measured, r.Dur)
	c.endWork(w, r.State, r.Reason)
}

// handed is a work as another arbiter takes it in.
func (w *work) handed() Submit {
	s := Submit{Work: w.Work, Expires: w.expires, Att: w.att, Reason: w.reason, Maybe: w.ever}
	if w.measured > 0 {
		s.Work.Dur = w.measured
	}
	if w.device != "" {
		s.Given = &area.Assignment{Device: w.device, MID: w.mid, Boot: w.boot}
	}
	return s
}

// record is a work that is handed over, as a record has it.
func (ev Submit) record() workRecord {
	r := workRecord{Work: ev.Work.ID, Att: ev.Att, Reason: ev.Reason}
	if g := ev.Given; g != nil {
		r.Device, r.MID, r.Boot = g.Device, g.MID, g.Boot
	}
	return r
}
