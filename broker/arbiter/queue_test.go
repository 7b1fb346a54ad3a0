package arbiter

import (
	"fmt"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// again says for who waits what it said before, and for the holder that it
// plays; it answers who holds the area then.
func (d *stand) again(claims map[string]area.Claim) area.DeviceID {
	d.t.Helper()
	for _, name := range []string{"a", "b", "c", "e"} {
		c, ok := claims[name]
		if !ok {
			continue
		}
		if h := d.c.holder; h != nil && h.device == area.DeviceID(name) {
			c.Playing, c.Token = true, h.token
		}
		d.step(Heard{Device: area.DeviceID(name), Claim: d.claim(name, c)})
	}
	if h := d.c.holder; h != nil {
		return h.device
	}
	return ""
}

// §3.4: a device has one entry, and a new claim goes to the back; so devices
// alternate, however greedy one of them is.
func TestDevicesAlternate(t *testing.T) {
	d := idle(t)
	claims := map[string]area.Claim{"a": {Claim: 1}, "b": {Claim: 1}, "c": {Claim: 1}}
	played := map[area.DeviceID]int{}
	for range 30 {
		h := d.again(claims)
		played[h]++
		over := claims[string(h)]
		over.Op, over.Result = area.OpDone, area.Played
		d.step(Heard{Device: h, Claim: d.claim(string(h), over)})
		claims[string(h)] = area.Claim{Claim: over.Claim + 1} // it has more to say, at once
		for n := uint64(2); n < 5; n++ {
			d.step(Heard{Device: h, Claim: d.claim(string(h), area.Claim{Claim: over.Claim + n})}) // and asks for more than its place
			claims[string(h)] = area.Claim{Claim: over.Claim + n}
		}
		if n := len(d.c.Queue()); n > 3 {
			t.Fatalf("%d places for three devices", n)
		}
	}
	for _, h := range []area.DeviceID{"a", "b", "c"} {
		if played[h] != 10 {
			t.Errorf("%s has played %d of 30 times", h, played[h])
		}
	}
}

// §3.4: waiting makes older, by one each 10 s, and never out of the class.
func TestAgeStaysInItsClass(t *testing.T) {
	for _, c := range []struct {
		prio  area.Priority
		waits time.Duration
		want  area.Priority
	}{
		{0, 9 * time.Second, 0}, {0, 10 * time.Second, 1}, {50, 490 * time.Second, 99}, {50, time.Hour, 99}, {99, time.Hour, 99},
		{area.Normal, time.Minute, 106}, {area.Normal, time.Hour, area.High - 1}, {area.High, time.Hour, area.Emergency - 1},
		{area.Emergency, time.Minute, 206}, {area.MaxPriority, time.Hour, area.MaxPriority},
	} {
		d := idle(t)
		d.c.now = d.now
		if got := d.c.aged(&entry{prio: c.prio, since: d.now.Add(-c.waits)}); got != c.want {
			t.Errorf("%d after %v has become %d, want %d", c.prio, c.waits, got, c.want)
		}
	}

	d := idle(t) // an old one of its class goes before a younger better, none before a better class
	claims := map[string]area.Claim{"a": {Prio: area.Normal}, "b": {Prio: 100}}
	d.again(claims)
	for range 30 {
		d.now += sec
		d.again(claims)
	}
	claims["c"], claims["e"] = area.Claim{Prio: 102}, area.Claim{Prio: area.High}
	d.again(claims)
	if got := fmt.Sprint(d.c.Busy().Queue); got != "[e b c]" {
		t.Errorf("the queue is %s", got)
	}
}

// §3.4: who was pre-empted waits again, behind the emergency, with a new claim;
// a second emergency does not pre-empt the first.
func TestPreemptedWaitsAgain(t *testing.T) {
	d := idle(t)
	d.hear("a", want, "busy(held:a) a<grant(1000001,2.5s)")
	d.hear("b", want, "b<queued(1) busy(held:a,b)")
	d.hear("c", area.Claim{Prio: area.Emergency}, "a<revoke(preempt) c<queued(1) busy(held:a,c,b)")
	d.hear("a", area.Claim{Op: area.OpDone, Result: area.Preempted}, "a<released busy(held:c,b) c<grant(1000002,2.5s)")
	d.hear("a", area.Claim{Claim: 2}, "a<queued(2) busy(held:c,b,a)")
	d.hear("e", area.Claim{Prio: area.MaxPriority}, "e<queued(1) busy(held:c,e,b,a)")
	d.hear("c", done, "c<released busy(held:e,b,a) e<grant(1000003,2.5s)")
	d.hear("e", done, "e<released busy(held:b,a) b<grant(1000004,2.5s)")
	d.hear("b", done, "b<released busy(held:a) a<grant(1000005,2.5s)")
	if n := d.c.Counts().Preemptions; n != 1 {
		t.Errorf("%d pre-emptions, want 1", n)
	}
}

func TestQueueIsBounded(t *testing.T) {
	d := idle(t)
	d.hear("a", want, "busy(held:a) a<grant(1000001,2.5s)")
	for i := range mostQueued {
		name := fmt.Sprint("w", i)
		d.step(Heard{Device: area.DeviceID(name), Claim: d.claim(name, want)})
	}
	d.hear("b", want, "b<refused(queue_full)")
	d.hear("w7", want, "w7<queued(8)") // who has a place keeps it
	if c := d.c.Counts(); c.Dropped != 1 || len(d.c.Queue()) != mostQueued {
		t.Errorf("%d wait, %d were dropped", len(d.c.Queue()), c.Dropped)
	}
}

// Names are remembered up to a bound; then room is made by the one that was
// silent for longest, and by nobody that was heard within the hour.
func TestNamesAreBounded(t *testing.T) {
	d := idle(t)
	for i := range mostDevices {
		name := fmt.Sprint("n", i)
		d.step(Heard{Device: area.DeviceID(name), Claim: d.claim(name, area.Claim{Op: area.OpHello, Nonce: "1"})})
		d.now += area.Instant(time.Millisecond)
	}
	d.hear("a", want, "")
	if n := d.c.Counts().Dropped; n != 1 {
		t.Errorf("%d were dropped, want 1", n)
	}
	d.now += 3600 * sec
	d.hear("a", want, "busy(held:a) a<grant(1000001,2.5s)")
	if d.c.devices["n0"] != nil || d.c.devices["n1"] == nil {
		t.Error("room was not made by who was silent for longest")
	}
}

// TestOrdersInTheirOrder: devices come back to an arbiter that has started again, each
// with orders that it had been given before, the one with the third order first.
func TestOrdersInTheirOrder(t *testing.T) {
	d := newStand(t, "", nil)
	d.step(Begin{})
	for _, w := range []struct {
		work   area.WorkID
		device area.DeviceID
	}{{"w1", "c"}, {"w2", "b"}, {"w3", "a"}} {
		d.step(Submit{Work: area.Work{ID: w.work, Area: "north", Prio: area.Normal, IfBusy: area.BusyQueue}, Expires: area.Never,
			Att: 1, Given: &area.Assignment{Device: w.device, MID: "m-" + string(w.device), Boot: 1}})
	}
	wants := []struct {
		device string
		work   area.WorkID
	}{{"a", "w3"}, {"x", ""}, {"b", "w2"}, {"c", "w1"}}
	for range 2 { // said again it keeps its place
		for _, w := range wants {
			d.step(Heard{Device: area.DeviceID(w.device), Claim: d.claim(w.device, area.Claim{Work: w.work, Att: 1})})
		}
		d.now += sec
	}
	if got, want := fmt.Sprint(d.c.Busy().Queue), "[c b a x]"; got != want {
		t.Errorf("%s wait, want %s", got, want)
	}
}

func TestIntrudersAreBounded(t *testing.T) {
	d := idle(t)
	d.hear("a", want, "busy(held:a) a<grant(1000001,2.5s)")
	for i := range mostIntruders + 1 {
		d.step(Set{Device: area.DeviceID(fmt.Sprint("x", i)), On: true})
	}
	if c := d.c.Counts(); c.Intruders != mostIntruders || c.Dropped != 1 {
		t.Errorf("%d intruders, %d dropped", c.Intruders, c.Dropped)
	}
}
