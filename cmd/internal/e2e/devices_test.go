package e2e

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// guard is by how much the arbiter's lease outlasts a device's
// (COORDINATION.md §3.6).
const guard = 250 * time.Millisecond

// slack is what a busy machine may take on top of what is promised: less than it takes
// where something other than the lease makes the area free.
const slack = 15 * time.Second

// TestDevicesTakeTurns: two processes of one area, a third that comes late; one
// is killed while it plays. Nobody ever talks over another, the area is free in
// time, and another device says what was cut off.
func TestDevicesTakeTurns(t *testing.T) {
	t.Parallel()
	h := start(t)
	w := h.watch()
	gates := map[area.DeviceID]*gate{"gate-1": h.gate("gate-1", "north", "1"), "gate-2": h.gate("gate-2", "north", "2")}
	var ids []area.WorkID
	for i := range 4 {
		ids = append(ids, h.announce(fmt.Sprintf(`{"to":{"location":"%d"},"message":"Go"}`, 1+i%2)))
	}
	gates["gate-5"] = h.gate("gate-5", "north", "5")
	ids = append(ids, h.announce(`{"to":{"location":"5"},"message":"Go"}`), h.announce(`{"to":{"area":"north"},"message":"Go"}`))
	for _, id := range ids {
		if o := w.ended(id); o.State != area.OrderPlayed || o.Attempt != 1 {
			t.Errorf("order %s ended %s: %s", id, o.State, story(o))
		}
	}

	cut := h.announce(`{"to":{"area":"north"},"message":"This is a longer announcement, which somebody cuts off."}`)
	playing := w.order(cut, func(o area.Order) bool { return o.State == area.OrderPlaying })
	victim := gates[*playing.Device]
	mark := w.told.mark()
	victim.signal(syscall.SIGKILL)
	killed := time.Now()
	w.busy(mark, "north", func(b area.Busy) bool { return !heldBy(*playing.Device)(b) })
	if d, most := time.Since(killed), lease+guard; d > most+slack {
		t.Errorf("the area was free after %s, want at most %s", d, most)
	}
	o := w.ended(cut)
	if o.State != area.OrderPlayed || o.Attempt != 2 || *o.Device == *playing.Device {
		t.Errorf("the order that was cut off by %s ended %s by %s in attempt %d: %s", *playing.Device, o.State, *o.Device, o.Attempt, story(o))
	}
	if !slices.ContainsFunc(o.History, func(s area.OrderStep) bool { return s.State == area.OrderWaiting && s.Reason != nil }) {
		t.Errorf("nothing tells why the order waited again: %s", story(o))
	}
	oneVoice(t, nil, gates["gate-1"], gates["gate-2"], gates["gate-5"])
	same(t, "overlaps that the hub counted", h.metric("tacet_arbiter_conflicts")+h.metric("tacet_arbiter_intruders"), 0)
	w.device(*playing.Device, "presence", `"offline"`)
}

// TestDeviceComesBack: a device that died while it played and starts again
// frees the area at once, and says what it had not said.
func TestDeviceComesBack(t *testing.T) {
	t.Parallel()
	h := start(t)
	w := h.watch()
	data := t.TempDir()
	first := h.gateOf("gate-1", "south", "3", data)
	id := h.announce(`{"to":{"device":"gate-1"},"message":"This is a longer announcement, which somebody cuts off."}`)
	w.order(id, func(o area.Order) bool { return o.State == area.OrderPlaying })
	first.signal(syscall.SIGKILL)
	second := h.gateOf("gate-1", "south", "3", data)
	o := w.ended(id)
	if o.State != area.OrderPlayed || o.Attempt != 2 {
		t.Errorf("the order ended %s in attempt %d: %s", o.State, o.Attempt, story(o))
	}
	oneVoice(t, nil, first, second)
}

// TestMixedArea: programs of the classic calls and MQTT devices share an area,
// and nobody talks over another.
func TestMixedArea(t *testing.T) {
	t.Parallel()
	h := start(t)
	w := h.watch()
	one := h.gate("gate-1", "north", "1")
	two := h.classicProgram("gate-2", "north", "2", 200)
	three := h.classicProgram("gate-6", "north", "6", 200)
	var ids []area.WorkID
	for i := range 9 {
		ids = append(ids, h.announce(fmt.Sprintf(`{"to":{"location":"%s"},"message":"Go"}`, []string{"1", "2", "6"}[i%3])))
	}
	played := map[area.DeviceID]int{}
	for _, id := range ids {
		o := w.ended(id)
		if o.State != area.OrderPlayed || o.Attempt != 1 {
			t.Fatalf("order %s ended %s: %s", id, o.State, story(o))
		}
		played[*o.Device]++
	}
	for _, d := range []area.DeviceID{"gate-1", "gate-2", "gate-6"} {
		if played[d] == 0 {
			t.Errorf("%s has never played: %v", d, played)
		}
	}
	oneVoice(t, append(two.sounded("gate-2", played["gate-2"]), three.sounded("gate-6", played["gate-6"])...), one)
}

// TestEmergency: what is urgent is said at once, and what it cut off is said
// again.
func TestEmergency(t *testing.T) {
	t.Parallel()
	h := start(t)
	w := h.watch()
	one, two := h.gate("gate-1", "north", "1"), h.gate("gate-2", "north", "2")
	calm := h.announce(`{"to":{"location":"1"},"message":"This is a longer announcement, which an emergency cuts off."}`)
	w.order(calm, func(o area.Order) bool { return o.State == area.OrderPlaying })
	urgent := h.announce(`{"to":{"location":"2"},"message":"Fire","priority":"emergency"}`)
	first, second := w.ended(urgent), w.ended(calm)
	if first.State != area.OrderPlayed || second.State != area.OrderPlayed || second.Attempt != 2 || !second.StartedAt.After(first.StartedAt.Time) {
		t.Errorf("the emergency: %s\nthe other: %s", story(first), story(second))
	}
	if !slices.ContainsFunc(second.History, func(s area.OrderStep) bool { return s.Reason != nil && *s.Reason == area.EndPreempted }) {
		t.Errorf("nothing tells that the order made way: %s", story(second))
	}
	oneVoice(t, nil, one, two)
}
