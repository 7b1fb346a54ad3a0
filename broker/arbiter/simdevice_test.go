package arbiter

import (
	"fmt"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/turn"
)

func (s *sim) start(d *simDevice) {
	if d.up {
		return
	}
	if d.kind == leased && !d.blank && !s.calm && s.rng.IntN(50) == 0 {
		d.blank = true // its card is written anew, which takes longer than a message lives
		s.at(s.now+int64(simFlash)+s.rng.Int64N(5e9), evStart).dev = d.i
		return
	}
	d.up, d.gen, d.epoch = true, d.gen+1, s.now-s.rng.Int64N(1e12)
	d.wake, d.wishAt = 0, 0
	d.queue, d.deaf = nil, false
	if d.kind != leased {
		if d.kind == dumb {
			s.plan(d, evDumbOn, s.rng.Int64N(20e9))
		} else {
			s.classicTurn(d)
		}
		return
	}
	switch {
	case s.bug.randomBoot:
		d.boot = 1 + s.rng.Uint64N(1<<40)
	case d.blank: // the counter is lost
		d.blank, d.boot = false, s.rng.Uint64N(2)
	default:
		d.boot++
	}
	d.turn = s.newTurn(d, false)
	s.log("%s starts, boot %d", d.id, d.boot)
	s.plan(d, evConnect, s.rng.Int64N(200e6))
	s.planWish(d, s.think())
}

func (s *sim) newTurn(d *simDevice, hold bool) *turn.Turn {
	return turn.New(turn.Config{Area: simArea, Device: d.id, MID: d.mid, Boot: d.boot, Lease: s.lease, Hold: hold, Nonce: func() string {
		s.nonces++
		return fmt.Sprint("n", s.nonces)
	}})
}

func (s *sim) plan(d *simDevice, k simKind, in int64) *simEvent {
	e := s.at(s.now+in, k)
	e.dev, e.gen = d.i, d.gen
	return e
}

// planWish has the device look for something to play; the soonest look counts.
func (s *sim) planWish(d *simDevice, in int64) {
	if at := s.now + in; d.wishAt <= s.now || at < d.wishAt {
		d.wishAt = at
		s.plan(d, evWish, in)
	}
}

// think is the time until a device has something to play again.
func (s *sim) think() int64 {
	if s.calm {
		return 5e9 + s.rng.Int64N(20e9)
	}
	return s.rng.Int64N(600e6)
}

func (s *sim) connect(d *simDevice) {
	if d.conn || d.turn == nil {
		return
	}
	if s.core == nil || s.now < d.cut {
		s.plan(d, evConnect, 500e6)
		return
	}
	d.conn = true
	d.deaf = !s.calm && s.rng.IntN(50) == 0
	s.toCore(DeviceUp{Device: d.id, Location: d.location, MID: d.mid})
	s.step(d, turn.Lease{Lease: s.lease, Term: s.core.Busy().Term})
	s.step(d, turn.Up{})
}

func (s *sim) drop(d *simDevice, in int64) {
	if !d.conn {
		return
	}
	d.conn = false
	s.step(d, turn.Down{})
	s.plan(d, evConnect, in)
}

func (s *sim) crash(d *simDevice) {
	if !d.up || d.kind != leased {
		return
	}
	s.r.crashes++
	s.log("%s crashes", d.id)
	d.up, d.conn, d.turn, d.waiting = false, false, nil, 0
	d.gen++
	if d.sounding { // at most a buffer of it goes on
		d.plays++
		e := s.plan(d, evSilent, s.rng.Int64N(50e6))
		e.seq = d.plays
	}
	s.at(s.now+200e6+s.rng.Int64N(5e9), evStart).dev = d.i
}

func (s *sim) step(d *simDevice, ev turn.Event) {
	if d.turn == nil {
		return
	}
	now := local(s.now-d.epoch, d.ppm)
	gen := d.gen
	for _, a := range slices.Clone(d.turn.Step(ev, now)) {
		s.act(d, a, now)
		if d.gen != gen || d.turn == nil {
			return
		}
	}
	if next := d.turn.Next(); next != area.Never {
		if at := max(d.epoch+until(next, d.ppm), s.now); d.wake <= s.now || at < d.wake {
			d.wake = at
			s.plan(d, evTick, at-s.now)
		}
	}
	s.check()
}

func (s *sim) act(d *simDevice, a turn.Action, now area.Instant) {
	switch a := a.(type) {
	case turn.Send:
		s.publish(d, &a.Claim, now)
	case turn.Start:
		s.plays(d)
	case turn.Stop:
		s.stops(d, a)
	case turn.Assigned:
		d.queue = append(d.queue, turn.Wish{Work: a.Work, Att: a.Att, Prio: a.Prio, Dur: a.Dur})
		slices.SortStableFunc(d.queue, func(x, y turn.Wish) int { return int(y.Prio.Class() - x.Prio.Class()) })
		s.planWish(d, 0)
	case turn.Free:
		s.log("%s free %d %s", d.id, a.Claim, a.Result)
		d.waiting = 0
		s.planWish(d, s.think())
		if len(d.queue) > 0 {
			s.planWish(d, 0)
		}
	case turn.Booted:
		d.boot = a.Boot
	case turn.Deaf:
		if s.bug.noWatchdog {
			s.step(d, turn.Up{})
			return
		}
		d.conn = false
		s.plan(d, evConnect, 200e6+s.rng.Int64N(100e6))
	}
}

// publish sends a claim to the arbiter.
func (s *sim) publish(d *simDevice, c *area.Claim, now area.Instant) {
	d.sent[c.Seq%64].seq, d.sent[c.Seq%64].at = c.Seq, now
	s.log("%s -> %s boot %d claim %d seq %d playing %v token %d work %s/%d %s", d.id, c.Op, c.Boot, c.Claim, c.Seq, c.Playing, c.Token, c.Work, c.Att, c.Result)
	if s.bug.noHello && c.Op == area.OpHello {
		d.nonce = c.Nonce
		e := s.plan(d, evToDev, 0)
		e.answer = area.Answer{Op: area.OpHello, MID: d.mid, Boot: max(d.boot, 1), Nonce: c.Nonce}
	}
	if s.core == nil || !d.conn || s.now < d.cut {
		return
	}
	n, slow := s.copies(), s.delay()
	if d.kind == classic {
		n, slow = 1, 1e5
	}
	for ; n > 0; n-- {
		e := s.at(s.now+slow, evToArb)
		e.dev, e.claim = d.i, *c
		if s.r.messages%64 == 0 { // the wire form now and then
			back, err := area.ParseClaim(c.Encode())
			if err != nil {
				panic(err)
			}
			e.claim = back
		}
		slow = s.delay()
	}
}

func (s *sim) toDevice(d *simDevice, e *simEvent) {
	if d.turn == nil || !d.conn || d.deaf || s.now < d.cut && d.kind == leased {
		return
	}
	a := e.answer
	if s.bug.anyAnswer && a.MID != d.mid {
		a.MID, a.Boot = d.mid, d.turn.Boot()
	}
	if s.bug.fromReceipt && a.Op == area.OpGrant && !a.Hold {
		if sent := d.sent[a.Ack%64]; sent.seq == a.Ack {
			late := local(s.now-d.epoch, d.ppm).Sub(sent.at)
			a.Lease += late + late/100
		}
	}
	s.log("%s <- %s boot %d claim %d ack %d token %d lease %v %s %s", d.id, a.Op, a.Boot, a.Claim, a.Ack, a.Token, a.Lease, a.Work, a.Reason)
	s.step(d, turn.Heard{Answer: a})
}

// wishes takes the next assigned work, or makes a sound without an order.
func (s *sim) wishes(d *simDevice) {
	if d.turn == nil || d.turn.Phase() != turn.Idle {
		return
	}
	w := turn.Wish{Prio: area.Normal, Dur: time.Duration(100e6 + s.rng.Int64N(1500e6))}
	switch {
	case s.rng.IntN(40) == 0:
		w.Prio = area.Emergency
		s.r.emergencies++
	case s.rng.IntN(10) == 0:
		w.Prio = area.High
	case !s.calm && s.rng.IntN(4) == 0: // longer than a lease
		w.Dur = time.Duration(2e9 + s.rng.Int64N(10e9))
	}
	if len(d.queue) > 0 {
		w, d.queue = d.queue[0], d.queue[1:]
	} else if s.orders && s.rng.IntN(3) > 0 { // most sounds are orders'
		s.planWish(d, s.think())
		return
	}
	d.wish = w
	if !slices.ContainsFunc(s.devs, s.waits) {
		s.lastSound = max(s.lastSound, s.now)
	}
	d.waiting = s.now
	s.step(d, turn.Wish{Work: w.Work, Att: w.Att, Prio: w.Prio, Dur: w.Dur})
}

func (s *sim) plays(d *simDevice) {
	d.waiting = 0
	if s.r.handOvers++; s.r.handOvers == s.goal {
		s.at(s.now, evCalm)
	}
	if d.kind == classic {
		// The call completes late; the client plays what it had said.
		s.beginSound(d, true)
		e := s.plan(d, evSilent, s.rng.Int64N(2e9)+int64(d.wish.Dur))
		e.seq, e.result = d.plays, area.Played
		return
	}
	s.beginSound(d, true)
	e := s.plan(d, evSilent, int64(d.wish.Dur))
	e.seq, e.result = d.plays, area.Played
}

// stops is silent in the time given, and the tail of what was written sounds a
// little longer.
func (s *sim) stops(d *simDevice, a turn.Stop) {
	if d.kind == classic || !d.sounding {
		return
	}
	d.plays++
	in := int64(0)
	if a.Within > 0 {
		in = min(s.rng.Int64N(int64(a.Within)), max(0, d.epoch+until(d.turn.Deadline(), d.ppm)-s.now))
	}
	e := s.plan(d, evSilent, in+s.rng.Int64N(int64(simTail)*99/100)) // 1 %: for the clock's rate
	e.seq, e.result = d.plays, a.Result
}

// offered takes a work, unless the device has it or has played it.
func (s *sim) offered(d *simDevice, e *simEvent) {
	if d.turn == nil || !d.conn || d.deaf || s.now < d.cut || d.kind != leased {
		return
	}
	o := e.offer
	switch {
	case slices.Contains(d.played[max(0, len(d.played)-256):], o.Work):
		s.step(d, turn.Known{Work: o.Work, Att: o.Att})
	case slices.ContainsFunc(d.queue, func(w turn.Wish) bool { return w.Work == o.Work }):
	case d.wish.Work == o.Work && d.turn.Phase() != turn.Idle:
	default:
		s.step(d, turn.Take{Work: o.Work, Att: o.Att})
	}
}

// classicTurn is the hub's half of a classic device; it dies with the hub.
func (s *sim) classicTurn(d *simDevice) {
	d.conn = s.core != nil
	if !d.conn {
		return
	}
	d.boot = 0
	d.gen++
	d.wake, d.wishAt = 0, 0
	d.epoch, d.ppm = s.arbBorn, s.arbPPM
	d.turn = s.newTurn(d, true)
	s.toCore(DeviceUp{Device: d.id, Location: d.location, MID: d.mid})
	s.step(d, turn.Up{})
	if !d.sounding {
		s.planWish(d, s.think())
	}
}

// classicOff is the client's false: to the turn that knows of it, or, after a
// restart of the hub, to the arbiter itself.
func (s *sim) classicOff(d *simDevice) {
	switch {
	case d.turn == nil:
		d.plays++
		d.sounding = true // it says so as soon as the hub is back
		d.counted = false
		e := s.plan(d, evSilent, 300e6)
		e.seq, e.result = d.plays, area.Played
	case d.turn.Phase() == turn.Playing:
		s.step(d, turn.Over{Result: area.Played})
	default:
		s.toCore(Set{Device: d.id})
		s.planWish(d, s.think())
	}
}

// dumbOn sounds if the flag allows it. It knows MQTT alone.
func (s *sim) dumbOn(d *simDevice) {
	if b := s.core; b == nil || b.Busy().Flag() != "0" || d.sounding || b.holder != nil {
		s.plan(d, evDumbOn, 500e6+s.rng.Int64N(2e9))
		return
	}
	s.beginSound(d, true)
	s.toCore(Set{Device: d.id, On: true})
	e := s.plan(d, evSilent, 500e6+s.rng.Int64N(5e9))
	e.seq, e.result = d.plays, area.Played
	if s.rng.IntN(5) == 0 {
		s.toCore(Set{Device: d.id, Will: true})
	}
}

func (s *sim) dumbOff(d *simDevice) {
	if s.core == nil { // it says 0 when it is connected again
		d.sounding, d.counted = true, false
		d.plays++
		e := s.plan(d, evSilent, 300e6)
		e.seq = d.plays
		return
	}
	s.toCore(Set{Device: d.id})
	s.plan(d, evDumbOn, s.rng.Int64N(40e9))
}
