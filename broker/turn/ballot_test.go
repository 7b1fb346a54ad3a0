package turn

import (
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// §8.10: the voter stands by one arbiter for 2 % longer than the poll says, and by
// nobody within that time of its own start.
func TestBallot(t *testing.T) {
	const s = area.Instant(time.Second)
	b := NewBallot("m1", 100*s)
	poll := func(arbiter string, n uint64, at area.Instant, votes bool) {
		t.Helper()
		v, ok := b.Poll(area.Poll{Area: "north", Arbiter: arbiter, Term: 7, N: n, Vote: 10 * time.Second}, at)
		if ok != votes {
			t.Errorf("at %v a poll of %s: votes %v, want %v", at, arbiter, ok, votes)
		}
		if ok && (v != area.Vote{Arbiter: arbiter, Term: 7, N: n, MID: "m1"}) {
			t.Errorf("the vote is %+v", v)
		}
	}
	poll("hub-1", 1, 100*s, false)
	poll("hub-1", 2, 110*s+s/5-1, false) // what it promised before its start may still bind it
	poll("hub-1", 3, 110*s+s/5, true)
	poll("gate-1", 1, 115*s, false)
	poll("hub-1", 4, 115*s, true) // the promise counts anew
	poll("gate-1", 2, 125*s+s/5-1, false)
	if who, left := b.Bound(125 * s); who != "hub-1" || left != 200*time.Millisecond {
		t.Errorf("bound to %q for %v", who, left)
	}
	poll("gate-1", 3, 125*s+s/5, true)
	poll("hub-1", 5, 126*s, false)
	if who, _ := b.Bound(140 * s); who != "" {
		t.Errorf("after its time it is bound to %q", who)
	}
	if _, ok := b.Poll(area.Poll{Arbiter: "gate-1"}, 200*s); ok {
		t.Error("a poll without a time has a vote")
	}
	// A shorter time does not shorten what was promised.
	poll("gate-1", 9, 300*s, true)
	if _, ok := b.Poll(area.Poll{Arbiter: "gate-1", Vote: time.Second}, 301*s); !ok {
		t.Error("the same arbiter has no vote")
	}
	poll("hub-1", 6, 310*s, false)
}
