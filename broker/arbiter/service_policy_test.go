package arbiter_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
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

// votes has a device vote as its agent does.
func (h *hub) votes(t *testing.T, d *device) *brokertest.Inbox {
	t.Helper()
	ballot := turn.NewBallot("m-"+string(d.id), area.Instant(time.Since(d.zero)))
	polls := brokertest.Subscribe(t, d.c, area.PollTopic(d.in), 1)
	stop := make(chan struct{})
	done := make(chan struct{})
	t.Cleanup(func() { close(stop); <-done })
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
			}
			for polls.Len() > 0 {
				p, err := area.ParsePoll(polls.Take(t, 1)[0].Payload)
				if err != nil {
					t.Error(err)
					return
				}
				if v, ok := ballot.Poll(p, area.Instant(time.Since(d.zero))); ok {
					d.c.Publish(area.VoteTopic(d.in, d.id), 1, false, v.Encode()).Wait()
				}
			}
		}
	}()
	return polls
}

// In a strict area the hub grants what a majority of the members and itself stands
// by; over MQTT, with the ballots that devices have.
func TestStrictAreaOverMQTT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, newLedger(), true)
		set := func(mode string, members ...string) {
			h.voters = nil
			for _, m := range members {
				h.voters = append(h.voters, arbiter.Voter{Device: area.DeviceID(m), MID: "m-" + m})
			}
			h.service.Elect("north")
			if err := h.roster.Update(arbiter.AreaConfig{ID: "north", Name: "North Wing", Mode: mode, Volume: -1, Locations: []arbiter.Place{{ID: "1"}, {ID: "2"}}}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		d := h.device(t, "gate-1", "north", "1")
		set(area.ModeStrict, "gate-1", "gate-2")
		d.step(turn.Wish{Prio: area.Normal, Dur: time.Second})
		if b := h.busy(t, "north"); d.turn.Phase() != turn.Waiting || b.State != area.Settling {
			t.Fatalf("without a vote the device is %s, busy %s", d.turn.Phase(), b.State)
		}
		h.votes(t, d)
		for range 14 { // nobody is voted for within V of the voter's start
			time.Sleep(time.Second)
			d.step(turn.Tick{})
		}
		if d.turn.Phase() != turn.Playing {
			t.Errorf("with two of three votes the device is %s", d.turn.Phase())
		}
		d.step(turn.Over{Result: area.Played})
		set(area.ModeStrict, "gate-2", "gate-3", "gate-4")
		d.step(turn.Wish{Prio: area.Normal, Dur: time.Second})
		if d.turn.Phase() != turn.Waiting || h.service.Stats().Unbacked != 2 {
			t.Errorf("with the hub's vote alone the device is %s, %+v", d.turn.Phase(), h.service.Stats())
		}
		set(area.ModeStrict) // no member: the hub's vote is the majority
		d.step(turn.Tick{})
		if d.turn.Phase() != turn.Playing {
			t.Errorf("in an area without members the device is %s", d.turn.Phase())
		}
	})
}
