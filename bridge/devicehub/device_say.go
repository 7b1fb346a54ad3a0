package devicehub

import (
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// say hands one message of a device to the arbiter of its area, and answers its
// number.
func (l *loop) say(d *device, c area.Claim) uint64 {
	d.seq = max(d.seq+1, uint64(l.now)/uint64(time.Millisecond))
	c.Boot, c.MID, c.Seq = d.boot, d.mid, d.seq
	l.arb.Say(d.in, d.id, d.link, c, false)
	d.refresh = l.now.Add(l.lease(d.in) / 4)
	return d.seq
}

// sayAll says everything that has no answer yet.
func (l *loop) sayAll(d *device) {
	if d.hello != nil {
		l.say(d, area.Claim{Op: area.OpHello, Nonce: d.hello.nonce, Claim: d.wish.n, Term: l.busy[d.in].Term})
	}
	l.sayWish(d)
	for _, t := range d.takes {
		l.say(d, area.Claim{Op: area.OpTake, Work: t.offer.Work, Att: t.offer.Att})
	}
}

// sayWish says the want or the done. What was granted is not said again by the
// hub: only the device knows whether it still plays. Nothing is said before the
// hello was answered (COORDINATION.md §8.8).
func (l *loop) sayWish(d *device) {
	if d.hello != nil && d.boot == 0 {
		return
	}
	switch w := d.wish; w.state {
	case wishWaits:
		l.say(d, area.Claim{Op: area.OpWant, Claim: w.n, Prio: w.prio, Dur: w.dur, Work: w.work, Att: w.att})
	case wishEnds:
		l.say(d, w.end)
	}
}

// silent tells whether a device has nothing to say.
func (d *device) silent() bool {
	return d.hello == nil && len(d.takes) == 0 && d.wish.state != wishWaits && d.wish.state != wishEnds
}

// tickFull says again what has no answer, fails what waits too long, and answers
// when the next thing is due.
func (l *loop) tickFull() area.Instant {
	next := area.Never
	for _, d := range l.full {
		if d.conn == nil && l.now.Sub(d.gone) >= goneFor {
			l.drop(d, area.Errorf(area.CodeDegraded, "the connection ended"))
			continue
		}
		l.late(d)
		if !d.silent() && d.refresh <= l.now {
			l.sayAll(d)
		}
		if !d.silent() {
			next = min(next, d.refresh)
		}
		if d.conn == nil {
			next = min(next, d.gone.Add(goneFor))
		}
		for _, r := range d.wish.renews {
			next = min(next, r.due)
		}
	}
	return next
}

// late fails the calls that the arbiter has not answered in time. A claim waits for
// as long as its caller does.
func (l *loop) late(d *device) {
	err := area.Errorf(area.CodeTimeout, "the arbiter of area %s has not answered for %s", d.in, answerTime)
	if d.hello != nil && d.hello.due <= l.now {
		d.hello.done(nil, err)
		d.hello = nil
	}
	d.wish.renews = slices.DeleteFunc(d.wish.renews, func(r renewal) bool {
		if r.due <= l.now {
			r.done(nil, err)
		}
		return r.due <= l.now
	})
	d.takes = slices.DeleteFunc(d.takes, func(t taking) bool {
		if t.due <= l.now {
			t.done(nil, err)
		}
		return t.due <= l.now
	})
}

// answerFull takes in what the arbiter says to a device.
func (l *loop) answerFull(d *device, a area.Answer) {
	if a.MID != d.mid {
		return
	}
	switch a.Op {
	case area.OpHello:
		l.greeted(d, a)
	case area.OpGrant:
		l.grantedTo(d, a)
	case area.OpQueued:
		l.answerRenewal(d, a.Ack, nil, area.Errorf(area.CodeRevoked, "the area is another's"))
	case area.OpReleased:
		l.released(d, a)
	case area.OpRevoke:
		l.revoked(d, a)
	case area.OpRefused:
		l.refused(d, a)
	case area.OpAssigned:
		l.assignedTo(d, a)
	case area.OpStale:
		l.drop(d, area.Errorf(area.CodeConflict, "a newer start of device %s is known", d.id))
	}
}

func (l *loop) greeted(d *device, a area.Answer) {
	g := d.hello
	if g == nil || a.Nonce != g.nonce {
		return
	}
	d.hello = nil
	if a.Boot != d.boot { // it was given one: nothing of before is its own
		l.failWish(d, area.Errorf(area.CodeRevoked, "the device has a new boot"))
		d.boot, d.wish = a.Boot, wish{}
	}
	g.done(welcome{Boot: a.Boot, LeaseMs: l.lease(d.in).Milliseconds(), Term: a.Term}, nil)
	l.sayWish(d)
}

func (l *loop) grantedTo(d *device, a area.Answer) {
	w := &d.wish
	if a.Boot != d.boot || a.Claim != w.n || a.Token == 0 {
		return
	}
	switch w.state {
	case wishWaits:
		asks := w.asks
		w.state, w.token, w.asks = wishGranted, a.Token, nil
		for _, ask := range asks {
			ask.done(granted{a.Token, w.n}, nil)
		}
	case wishGranted:
		if a.Token == w.token {
			l.answerRenewal(d, a.Ack, leased{a.Lease.Milliseconds()}, nil)
		}
	}
}

// answerRenewal answers the Renew whose message is acknowledged.
func (l *loop) answerRenewal(d *device, ack uint64, v any, err error) {
	d.wish.renews = slices.DeleteFunc(d.wish.renews, func(r renewal) bool {
		if r.seq == ack {
			r.done(v, err)
		}
		return r.seq == ack
	})
}

func (l *loop) released(d *device, a area.Answer) {
	if a.Claim != d.wish.n || d.wish.state == wishNone {
		return
	}
	if d.wish.state == wishEnds {
		ends := d.wish.ends
		d.wish = wish{n: d.wish.n}
		for _, f := range ends {
			f(nil, nil)
		}
	} else {
		l.failWish(d, area.Errorf(area.CodeRevoked, "the arbiter has released claim %d", a.Claim))
	}
	if d.conn == nil {
		delete(l.full, d.id) // nothing of it is left to be said
	}
}

// revoked passes the revoke on. The area is free when the device says done, or when
// its lease ends.
func (l *loop) revoked(d *device, a area.Answer) {
	if a.Token == 0 || a.Token != d.wish.token {
		return
	}
	first := !d.wish.revoked
	d.wish.revoked = true
	renews := d.wish.renews
	d.wish.renews = nil
	for _, r := range renews {
		r.done(nil, area.Errorf(area.CodeRevoked, "%s", a.Reason))
	}
	if first && d.conn != nil {
		_ = d.conn.Send("Revoked", d.in, a.Token, a.Stop.Milliseconds(), a.Reason) // an error means that the connection is ending
	}
}

func (l *loop) refused(d *device, a area.Answer) {
	err := refusal(a.Reason)
	switch {
	case a.Reason == area.ReasonReplaced || a.Reason == area.ReasonNotMember && a.Work == "":
		l.drop(d, area.Errorf(area.CodeConflict, "the arbiter refused: %s", a.Reason))
		return
	case a.Work != "" && a.Work == d.wish.work && d.wish.state != wishNone:
		l.failWish(d, err)
	}
	l.answerTake(d, a.Work, nil, err)
}

func (l *loop) assignedTo(d *device, a area.Answer) {
	if o := d.offer(a.Work); o != nil {
		o.Att = a.Att
		l.answerTake(d, a.Work, assigned{Work: a.Work, Att: a.Att, DurMs: a.Dur.Milliseconds(), Prio: int(a.Prio), Body: o.Body}, nil)
	}
}

func (l *loop) answerTake(d *device, w area.WorkID, v any, err error) {
	d.takes = slices.DeleteFunc(d.takes, func(t taking) bool {
		if t.offer.Work == w {
			t.done(v, err)
		}
		return t.offer.Work == w
	})
}
