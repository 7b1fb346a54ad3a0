package turn

import (
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// connected starts the greeting of a new connection. What the device wanted
// before it is said again at once: the lease clock went on. A device that has
// lost its standing while it sounds says nothing before the end.
func (t *Turn) connected(now area.Instant) {
	t.up, t.awaits, t.hello, t.replaced = true, false, false, false
	if t.phase == Playing && !t.greeted {
		return
	}
	t.greet(now)
	t.state(now)
	t.sayTakes(now)
}

// greet says hello under a new nonce: only the answer to the newest counts
// (§8.8).
func (t *Turn) greet(now area.Instant) {
	t.hello, t.nonce = true, t.cfg.Nonce()
	if t.up {
		t.sayHello(now)
	}
}

// again says everything once more when the refresh is over, and finds out that
// nobody answers (§3.3, §8.16).
func (t *Turn) again(now area.Instant) {
	if !t.talks() || now < t.refresh {
		return
	}
	if t.replaced {
		t.replaced = false
		t.greet(now)
		return
	}
	if t.awaits && now.Sub(t.quiet) >= refreshes*t.every() {
		t.up = false
		t.do(Deaf{})
		return
	}
	if t.hello {
		t.sayHello(now)
	}
	t.state(now)
	t.sayTakes(now)
}

// talks tells whether there is anything to be said again.
func (t *Turn) talks() bool {
	return t.up && (t.replaced || t.hello || t.states() || t.greeted && len(t.takes) > 0)
}

// states tells whether a want or a done is to be said: not before the first
// hello of a boot was answered (§8.8), and not once our standing is lost.
func (t *Turn) states() bool { return t.greeted && t.phase != Idle }

// state says the want or the done.
func (t *Turn) state(now area.Instant) {
	if !t.up || !t.states() {
		return
	}
	c := area.Claim{Op: area.OpWant, Claim: t.claim, Token: t.token, Work: t.wish.Work, Att: t.wish.Att}
	if t.phase == Done {
		c.Op, c.Result, c.Sound = area.OpDone, t.result, t.heardAt(now)
	} else {
		if !t.claimed {
			t.claim, t.claimed = t.claim+1, true
		}
		c.Claim, c.Prio, c.Dur, c.Playing = t.claim, t.wish.Prio, t.wish.Dur, t.phase == Playing
		c.Term, c.From, c.At = t.term, t.from(now), inMs(now)
	}
	t.say(c, now)
}

func (t *Turn) sayHello(now area.Instant) {
	t.say(area.Claim{Op: area.OpHello, Nonce: t.nonce, Claim: t.claim, Term: t.term, From: t.from(now)}, now)
}

func (t *Turn) sayTakes(now area.Instant) {
	if !t.up || !t.greeted {
		return
	}
	for _, k := range t.takes {
		t.say(area.Claim{Op: area.OpTake, Work: k.work, Att: k.att}, now)
	}
}

// say numbers a message and remembers when it was sent: a grant that
// acknowledges it counts from here. All but a decline is answered (§8.16).
func (t *Turn) say(c area.Claim, now area.Instant) {
	if !t.awaits && c.Op != area.OpDecline {
		t.awaits, t.quiet = true, now
	}
	t.seq++
	c.Boot, c.MID, c.Seq = t.boot, t.cfg.MID, t.seq
	t.sent[t.seq%ringLen] = sent{seq: t.seq, at: now, whose: c.Op == area.OpHello || c.Op == area.OpWant}
	t.refresh = now.Add(t.every())
	t.do(Send{Claim: c})
}

// from says which arbiter answered last, and how long ago (§8.2). One whom that has
// not reached does not count yet: it may have answered what we said later.
func (t *Turn) from(now area.Instant) *area.From {
	if t.arbiter == "" {
		return nil
	}
	return &area.From{Arbiter: t.arbiter, AgoMs: now.Sub(t.heard).Milliseconds()}
}

func (t *Turn) wants(w Wish, now area.Instant) {
	if t.phase != Idle {
		return
	}
	t.phase, t.wish, t.claimed, t.token, t.stopping = Waiting, w, false, 0, false
	t.state(now)
}

func (t *Turn) withdraw(r area.Result, now area.Instant) {
	switch t.phase {
	case Waiting:
		t.end(r, now)
	case Playing:
		t.halt(0, r, now)
	}
}

func (t *Turn) over(o Over, now area.Instant) {
	if t.phase != Playing {
		return
	}
	r := o.Result
	if t.stopping && r != area.Played {
		r = t.result
	}
	t.first, t.last = o.First, o.Last
	t.end(r, now)
}

// heardAt is when the sound of the claim was heard; nil: it was not.
func (t *Turn) heardAt(now area.Instant) *area.Sound {
	if t.last == 0 {
		return nil
	}
	return &area.Sound{AtMs: inMs(now), FirstMs: inMs(t.first), LastMs: inMs(t.last)}
}

func inMs(i area.Instant) int64 { return int64(i) / int64(time.Millisecond) }

// end goes from Waiting or Playing to Done; where nobody would listen to the
// done, straight to Idle.
func (t *Turn) end(r area.Result, now area.Instant) {
	t.phase, t.result, t.stopping = Done, r, false
	if t.greeted && t.claimed {
		t.state(now)
		return
	}
	t.free()
	if !t.greeted && !t.hello && !t.replaced && t.up {
		t.greet(now)
	}
}

// free makes room for the next wish.
func (t *Turn) free() {
	f := Free{Claim: t.claim, Work: t.wish.Work, Att: t.wish.Att, Result: t.result}
	if !t.claimed {
		f.Claim = 0
	}
	t.phase, t.wish, t.claimed, t.token, t.deadline, t.first, t.last = Idle, Wish{}, false, 0, 0, 0, 0
	t.do(f)
}

func (t *Turn) take(k Take, now area.Instant) {
	if t.taken(k.Work) >= 0 || len(t.takes) == mostTakes {
		return
	}
	t.takes = append(t.takes, take{work: k.Work, att: k.Att})
	if t.up && t.greeted {
		t.say(area.Claim{Op: area.OpTake, Work: k.Work, Att: k.Att}, now)
	}
}

func (t *Turn) decline(d Decline, now area.Instant) {
	t.drop(d.Work)
	if t.up && t.greeted {
		t.say(area.Claim{Op: area.OpDecline, Work: d.Work, Att: d.Att, Reason: d.Reason}, now)
	}
}

func (t *Turn) known(k Known, now area.Instant) {
	if t.up && t.greeted {
		t.say(area.Claim{Op: area.OpDone, Work: k.Work, Att: k.Att, Result: area.Played}, now)
	}
}

func (t *Turn) taken(w area.WorkID) int {
	return slices.IndexFunc(t.takes, func(k take) bool { return k.work == w })
}

func (t *Turn) drop(w area.WorkID) bool {
	i := t.taken(w)
	if i < 0 {
		return false
	}
	t.takes = slices.Delete(t.takes, i, i+1)
	return true
}
