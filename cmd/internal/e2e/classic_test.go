package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
)

// interval is when somebody sounded, in Unix milliseconds.
type interval struct {
	who, work  string
	start, end int64
}

// apart fails the test where two sounded at once. What one device's process left
// in its loudspeaker when it was killed may still be heard when its next one
// begins: it is the same loudspeaker.
func apart(t testing.TB, list []interval) {
	t.Helper()
	slices.SortFunc(list, func(a, b interval) int { return cmp.Compare(a.start, b.start) })
	for i, b := range list {
		for _, a := range list[:i] {
			if b.start < a.end && a.who != b.who {
				t.Errorf("%s and %s overlap by %d ms", a, b, a.end-b.start)
			}
		}
	}
}

// classicProgram starts a device of the classic calls as its users wrote it.
func (h *hub) classicProgram(id, in, at string, playMs int) *program {
	h.t.Helper()
	p := script(h.t, "classic.mjs", h.hubURL(), id, in, at, fmt.Sprint(playMs))
	heard(p, 0, "registration", func(l line) bool { return l.Ready == id })
	return p
}

// sounded is when a classic program played, so many times.
func (p *program) sounded(who string, times int) (list []interval) {
	p.t.Helper()
	mark := 0
	for range times {
		var from, to line
		from, mark = heard(p, mark, "start of a play", func(l line) bool { return l.Start > 0 })
		to, mark = heard(p, mark, "end of a play", func(l line) bool { return l.End > 0 })
		list = append(list, interval{who: who, start: from.Start, end: to.End})
	}
	return list
}

// story is what became of an order, for a failure's text.
func story(o area.Order) string {
	var b strings.Builder
	for _, s := range o.History {
		fmt.Fprintf(&b, "\n\t%s %s", s.At, s.State)
		if s.Device != nil {
			fmt.Fprintf(&b, " %s", *s.Device)
		}
		if s.Reason != nil {
			fmt.Fprintf(&b, " (%s)", *s.Reason)
		}
	}
	return b.String()
}

// TestClassicPrograms: two programs of the classic calls take turns, by their
// own clocks, and ReceiveWork never has an argument.
func TestClassicPrograms(t *testing.T) {
	t.Parallel()
	h := start(t)
	w := h.watch()
	one := h.classicProgram("gate-1", "North Wing", "1", 150)
	two := h.classicProgram("gate-2", "north", "2", 150)
	played := map[area.DeviceID]int{}
	var ids []area.WorkID
	for i := range 6 {
		ids = append(ids, h.announce(map[string]any{"to": map[string]any{"location": fmt.Sprint(1 + i%2)}, "message": "Boarding"}))
	}
	for _, id := range ids {
		o := w.ended(id)
		if o.State != area.OrderPlayed || o.Attempt != 1 {
			t.Fatalf("order %s ended %s in attempt %d: %s", id, o.State, o.Attempt, story(o))
		}
		played[*o.Device]++
	}
	apart(t, append(one.sounded("gate-1", played["gate-1"]), two.sounded("gate-2", played["gate-2"])...))
	for _, p := range []*program{one, two} {
		statuses, mark := 0, 0
		for range 3 { // one at first, and two for each turn of the other's
			_, mark = heard(p, mark, "ReceiveWorkStatus", func(l line) bool { return l.Busy != nil })
		}
		for _, text := range p.out.since(0) {
			var l line
			if json.Unmarshal([]byte(text), &l) != nil {
				continue
			}
			if l.Work != nil && *l.Work != 0 {
				t.Errorf("ReceiveWork came with %d arguments", *l.Work)
			}
			if l.Busy != nil {
				if *l.Busy == (statuses%2 == 0) { // false at first, then whenever it changes
					t.Errorf("ReceiveWorkStatus number %d is %t", statuses, *l.Busy)
				}
				statuses++
			}
		}
	}
	var n area.Area
	h.get("/areas/north", &n)
	same(t, "members", fmt.Sprint(n.Members), "[gate-1 gate-2]")
}

// TestClassicAreaWork: work for an area is told to one device of it alone, and
// they take turns.
func TestClassicAreaWork(t *testing.T) {
	t.Parallel()
	h := start(t)
	w := h.watch()
	one := h.classicProgram("gate-1", "north", "1", 50)
	two := h.classicProgram("gate-2", "north", "2", 50)
	for range 4 {
		id := h.announce(`{"to":{"area":"north"},"message":"Security"}`)
		if o := w.ended(id); o.State != area.OrderPlayed {
			t.Fatalf("order %s ended %s: %s", id, o.State, story(o))
		}
	}
	apart(t, append(one.sounded("gate-1", 2), two.sounded("gate-2", 2)...))
}

// TestClassicWithoutAnswer: a call without an invocation id waits for nothing,
// so it is what a dumb device says.
func TestClassicWithoutAnswer(t *testing.T) {
	t.Parallel()
	h := start(t)
	w := h.watch()
	one, two := h.npm(), h.npm()
	one.invoke("ReceiveDeviceConnected", "gate-1", "north", 1)
	two.invoke("ReceiveDeviceConnected", "gate-2", "north", 2)
	two.event(0, "ReceiveWorkStatus", hears(t, false))
	one.finish(one.begin("send", "BroadcastWorkStatus", "north", true))
	_, at := w.busy(0, "north", heldBy("gate-1"))
	two.event(0, "ReceiveWorkStatus", hears(t, true))
	two.finish(two.begin("send", "BroadcastWorkStatus", "north", true)) // sounds all the same
	b, at := w.busy(at, "north", func(b area.Busy) bool { return len(b.Intruders) > 0 })
	same(t, "intruders", fmt.Sprint(b.Intruders), "[gate-2]")
	two.finish(two.begin("send", "BroadcastWorkStatus", "north", false))
	_, at = w.busy(at, "north", func(b area.Busy) bool { return len(b.Intruders) == 0 && heldBy("gate-1")(b) })
	one.finish(one.begin("send", "BroadcastWorkStatus", "north", false))
	w.busy(at, "north", idle)
}

// TestClassicHold: what a classic program holds it holds though its connection
// is lost, until it comes back and says false.
func TestClassicHold(t *testing.T) {
	t.Parallel()
	h := start(t)
	w := h.watch()
	one, two := h.npm(), h.npm()
	one.invoke("ReceiveDeviceConnected", "gate-1", "north", 1)
	two.invoke("ReceiveDeviceConnected", "gate-2", "north", 2)
	one.invoke("BroadcastWorkStatus", "north", true)
	_, at := w.busy(0, "north", heldBy("gate-1"))
	waits := two.begin("invoke", "BroadcastWorkStatus", "north", true)
	_, at = w.busy(at, "north", func(b area.Busy) bool { return slices.Contains(b.Queue, area.DeviceID("gate-2")) })
	one.signal(syscall.SIGKILL)
	w.device("gate-1", "presence", `"offline"`)
	var n area.Area
	h.get("/areas/north", &n)
	if b, err := area.ParseBusy(n.Busy); err != nil || !heldBy("gate-1")(b) {
		t.Errorf("after its connection was lost the area is %s", n.Busy)
	}
	back := h.npm()
	back.invoke("ReceiveDeviceConnected", "gate-1", "north", 1)
	back.event(0, "ReceiveWorkStatus", hears(t, false))
	if late := two.out.since(0); slices.ContainsFunc(late, func(s string) bool { return s == fmt.Sprintf(`{"id":%d,"result":null}`, waits) }) {
		t.Error("gate-2 was granted the area while gate-1 held it")
	}
	back.invoke("BroadcastWorkStatus", "north", false)
	two.finish(waits)
	_, at = w.busy(at, "north", heldBy("gate-2"))
	back.event(0, "ReceiveWorkStatus", hears(t, true))
	two.invoke("BroadcastWorkStatus", "north", false)
	w.busy(at, "north", idle)
}
