package arbiter_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/turn"
)

// The policy of an area reaches what its devices are granted: under finish the
// loss of the hub cuts nothing.
func TestPolicyFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, newLedger(), true)
		d := h.device(t, "gate-1", "north", "1")
		d.step(turn.Wish{Prio: area.Normal, Dur: 20 * time.Second})
		if left := d.turn.Deadline().Sub(area.Instant(time.Since(d.zero))); left > 6*time.Second {
			t.Errorf("under stop it may sound for %v without the hub", left)
		}
		d.step(turn.Over{Result: area.Played})

		if err := h.roster.Update(arbiter.AreaConfig{ID: "north", Name: "North Wing", Policy: "finish", Volume: -1,
			Locations: []arbiter.Place{{ID: "1"}, {ID: "2"}}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		d.step(turn.Wish{Prio: area.Normal, Dur: 20 * time.Second})
		d.do(turn.Down{})
		for range 19 {
			time.Sleep(time.Second)
			d.do(turn.Tick{})
		}
		if d.turn.Phase() != turn.Playing || d.turn.Deadline() < area.Instant(time.Since(d.zero)).Add(time.Second) {
			t.Errorf("after 19 s without the hub it is %s", d.turn.Phase())
		}
		if b := h.busy(t, "north"); b.State != area.Held {
			t.Errorf("busy is %s while it sounds", b.State)
		}
	})
}

// An emergency does not wait for a holder that does not answer for longer than
// the area allows.
func TestEmergencyBarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, newLedger(), true)
		a, b := h.device(t, "gate-3", "south", "3"), h.device(t, "gate-4", "south", "")
		a.step(turn.Wish{Prio: area.Normal, Dur: time.Minute})
		b.step(turn.Wish{Prio: area.Emergency, Dur: time.Second})
		time.Sleep(1900 * time.Millisecond) // gate-3 does not listen
		b.step(turn.Tick{})
		if b.turn.Phase() != turn.Waiting {
			t.Fatalf("before its time the emergency is %s", b.turn.Phase())
		}
		time.Sleep(200 * time.Millisecond)
		b.step(turn.Tick{})
		busy := h.busy(t, "south")
		if b.turn.Phase() != turn.Playing || !busy.Preempt || *busy.Holder != "gate-4" || h.service.Stats().Barges != 1 {
			t.Errorf("the emergency is %s, busy %s, %d barged", b.turn.Phase(), busy.Encode(), h.service.Stats().Barges)
		}
	})
}
