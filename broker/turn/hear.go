package turn

import (
	"github.com/tacet-hub/tacet/broker/area"
)

// answer takes in what the arbiter says. An answer to another machine or to
// another start is not ours (§8.8).
func (t *Turn) answer(a *area.Answer, now area.Instant) {
	if a.MID != t.cfg.MID {
		return
	}
	if a.Op == area.OpHello {
		t.welcomed(a, now)
		return
	}
	if a.Boot != t.boot {
		return
	}
	t.note(a, now)
	switch a.Op {
	case area.OpGrant:
		t.granted(a, now)
	case area.OpRevoke:
		t.revoked(a, now)
	case area.OpReleased:
		if t.phase == Done && a.Claim == t.claim {
			t.free()
		}
	case area.OpAssigned:
		t.assigned(a, now)
	case area.OpRefused:
		t.refused(a, now)
	case area.OpStale:
		if t.greeted {
			t.lose(now)
		}
	}
}

// note remembers that the arbiter lives, and its term.
func (t *Turn) note(a *area.Answer, now area.Instant) {
	t.awaits = false
	t.term = max(t.term, a.Term, a.Token.Term())
	if s := t.sent[a.Ack%ringLen]; t.arbiter == "" || a.From == t.arbiter || s.seq == a.Ack && s.whose {
		t.heard, t.arbiter = now, a.From
	}
}

// welcomed takes the answer to the newest hello. A boot is adopted only while
// nothing is wanted or unacknowledged under the old one (§8.8).
func (t *Turn) welcomed(a *area.Answer, now area.Instant) {
	if !t.hello || a.Nonce != t.nonce || a.Boot == 0 || a.Boot < t.boot {
		return
	}
	t.note(a, now)
	t.hello = false
	if a.Boot > t.boot {
		if t.claimed {
			t.lose(now)
			return
		}
		t.boot, t.claim, t.seq, t.sent = a.Boot, 0, 0, [ringLen]sent{}
		t.do(Booted{Boot: t.boot})
	}
	t.greeted, t.asks = true, 0
	t.state(now)
	t.sayTakes(now)
}

// granted starts the play, or lets it go on for longer. Only a grant of the
// present claim counts, and only from when we sent what it acknowledges; one
// whose time is over already is as good as none (§3.3).
func (t *Turn) granted(a *area.Answer, now area.Instant) {
	if !t.greeted || !t.claimed || a.Claim != t.claim || t.stopping || a.Token == 0 || a.Token < t.token {
		return
	}
	deadline := t.ends(a)
	if deadline <= now {
		return
	}
	switch t.phase {
	case Waiting:
		t.phase, t.token, t.deadline = Playing, a.Token, deadline
		t.do(Start{Claim: t.claim, Token: t.token, Work: t.wish.Work, Att: t.wish.Att})
		t.state(now) // at once: without playing=true the lease is not extended (§0, 11)
	case Playing:
		t.token, t.deadline = a.Token, max(t.deadline, deadline)
	}
}

// ends is when the lease of a grant is over for us: sent + lease less drift,
// less the sound that cannot be called back. 0 where we did not send what it
// acknowledges, or have forgotten when; a hold has no end.
func (t *Turn) ends(a *area.Answer) area.Instant {
	s := t.sent[a.Ack%ringLen]
	switch {
	case a.Ack == 0 || s.seq != a.Ack || a.Hold != t.cfg.Hold:
		return 0
	case a.Hold:
		return area.Never
	}
	return s.at.Add(a.Lease - a.Lease/driftPart - t.stop)
}

// revoked stops the play. Where the grant itself was never heard there is
// nothing to stop, and the claim ends.
func (t *Turn) revoked(a *area.Answer, now area.Instant) {
	if !t.claimed || a.Claim != t.claim {
		return
	}
	result := area.Preempted
	if a.Reason == area.ReasonAdmin {
		result = area.Cancelled
	}
	switch {
	case t.phase == Playing && a.Token == t.token:
		t.halt(a.Stop, result, now)
	case t.phase == Waiting:
		t.end(result, now)
	}
}

// assigned hands the work on. An emergency ends what we ourselves play or wait
// for, since nobody else would pre-empt us for our own sake (§8.15).
func (t *Turn) assigned(a *area.Answer, now area.Instant) {
	if !t.drop(a.Work) {
		return
	}
	t.do(Assigned{Work: a.Work, Att: a.Att, Dur: a.Dur, Prio: a.Prio})
	if a.Prio < area.Emergency || t.wish.Prio >= area.Emergency {
		return
	}
	switch t.phase {
	case Playing:
		t.halt(ownStop, area.Preempted, now)
	case Waiting:
		t.end(area.Preempted, now)
	}
}

// refused ends a take or the wish.
func (t *Turn) refused(a *area.Answer, now area.Instant) {
	switch {
	case a.Reason == area.ReasonReplaced:
		t.asks = min(max(2*t.asks, askSoon), askAgain)
		t.replaced, t.hello, t.refresh = true, false, now.Add(t.asks)
		t.lose(now)
		t.do(Replaced{Again: t.asks})
	case a.Work != "" && t.drop(a.Work):
		t.do(Refused{Work: a.Work, Reason: a.Reason})
	case t.claimed && a.Claim == t.claim && (t.phase == Waiting || t.phase == Playing):
		t.do(Refused{Work: t.wish.Work, Reason: a.Reason})
		if a.Reason == area.ReasonUnknownWork { // the work is not over: the done is about the claim alone
			t.wish.Work, t.wish.Att = "", 0
		}
		result := area.Cancelled
		if a.Reason == area.ReasonExpired {
			result = area.Expired
		}
		t.withdraw(result, now)
	}
}

// lose gives up our standing: the arbiter knows a newer start of us, or another
// machine of our name. What sounds goes on to its deadline at most, without
// extension; then, or at once where nothing sounds, we say hello (§8.8, §8.16).
func (t *Turn) lose(now area.Instant) {
	t.greeted, t.awaits = false, false
	switch t.phase {
	case Playing:
		return
	case Waiting:
		t.claimed, t.token = false, 0 // the wish stays; it is claimed anew
	case Done:
		t.free()
	}
	if !t.replaced {
		t.greet(now)
	}
}
