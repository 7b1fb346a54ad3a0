package turn

import (
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
)

// From whom a device comes is said until the next arbiter has heard it: what he
// answers to something else may have overtaken it, and he would grant into a lease
// of the one before.
func TestFromIsSaidUntilItIsHeard(t *testing.T) {
	b := newBench(t, nil)
	said := map[area.Op]area.Claim{} // the newest of each kind
	step := func(at area.Instant, ev Event) {
		for _, a := range b.turn.Step(ev, at) {
			if s, ok := a.(Send); ok {
				said[s.Claim.Op] = s.Claim
			}
		}
	}
	answer := func(at area.Instant, from string, a area.Answer) {
		a.MID, a.Boot, a.From = "m1", 5, from
		step(at, Heard{Answer: a})
	}
	comes := func(from string, ago int64) {
		t.Helper()
		if f := said[area.OpWant].From; f == nil || *f != (area.From{Arbiter: from, AgoMs: ago}) {
			t.Errorf("the want says from %+v, want %s, %d ms ago", f, from, ago)
		}
	}
	step(0, Up{})
	answer(0, "gate-3", area.Answer{Op: area.OpHello, Nonce: "n1", Ack: said[area.OpHello].Seq})
	step(100*ms, Down{}) // to another arbiter, who gets neither hello nor want, but the take
	step(400*ms, Up{})
	step(400*ms, Take{Work: "w", Att: 1})
	answer(500*ms, "hub-1", area.Answer{Op: area.OpAssigned, Ack: said[area.OpTake].Seq, Work: "w", Att: 1, Term: 80})
	step(700*ms, Wish{Work: "w", Att: 1})
	comes("gate-3", 700)
	answer(800*ms, "hub-1", area.Answer{Op: area.OpQueued, Claim: said[area.OpWant].Claim, Ack: said[area.OpWant].Seq})
	step(2300*ms, Tick{})
	comes("hub-1", 1500)
}
