package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
)

// busyMessage waits for a state of an area that mosquitto_sub -v shows.
func (p *program) busyMessage(mark int, name area.Name, fits func(area.Busy) bool) (b area.Busy, after int) {
	p.t.Helper()
	_, after = p.message(mark, string(area.BusyTopic(name)), func(payload string) bool {
		got, err := area.ParseBusy([]byte(payload))
		b = got
		return err == nil && fits(got)
	})
	return b, after
}

func idle(b area.Busy) bool { return b.State == area.Idle }

func heldBy(d area.DeviceID) func(area.Busy) bool {
	return func(b area.Busy) bool { return b.State == area.Held && b.Holder != nil && *b.Holder == d }
}

// classic is a device of the classic calls: it plays what it is told of as soon
// as it is granted, and is over when play returns.
func (h *hub) classic(id, in, at string, play func()) *watcher {
	h.t.Helper()
	w := h.connect()
	w.On("ReceiveWork", func(args []json.RawMessage) {
		w.told.add(told{"ReceiveWork", args})
		for _, on := range []bool{true, false} {
			if _, err := w.invoke("BroadcastWorkStatus", in, on); err != nil {
				if h.t.Context().Err() == nil { // else the test is over
					h.t.Errorf("%s: BroadcastWorkStatus(%t): %v", id, on, err)
				}
				return
			}
			if on {
				play()
			}
		}
	})
	w.call("ReceiveDeviceConnected", id, in, at) // work may come at once
	return w
}

// TestBusyTopics: Mosquitto's subscriber sees the kept state of every area at
// once, and each announcement change it, busy before the grant.
func TestBusyTopics(t *testing.T) {
	t.Parallel()
	h := start(t)
	sub := h.subscribe("-v", "-t", "tacet/area/+/busy", "-t", "tacet/area/+/busy/flag", "-t", "tacet/device/+/grant")
	for _, name := range []area.Name{"north", "south"} {
		sub.busyMessage(0, name, idle)
		sub.message(0, area.FlagTopic(name), exactly("0"))
	}
	seen := make(chan struct{})
	h.classic("gate-1", "north", "1", func() { <-seen })
	w := h.watch()
	for _, id := range []area.WorkID{"o-1", "o-2"} {
		mark := sub.out.mark()
		h.announce(`{"id":"` + string(id) + `","to":{"location":"1"},"message":"Boarding"}`)
		held, at := sub.busyMessage(mark, "north", heldBy("gate-1"))
		if held.Work == nil || *held.Work != id {
			t.Errorf("busy of order %s is %+v", id, held)
		}
		_, granted := sub.message(mark, area.GrantTopic("gate-1"), func(p string) bool { return strings.Contains(p, `"op":"grant"`) })
		if granted < at {
			t.Errorf("order %s: the grant came before busy", id)
		}
		_, at = sub.message(at, area.FlagTopic("north"), exactly("1"))
		late := h.subscribe("-v", "-t", "tacet/area/+/busy")
		late.busyMessage(0, "north", heldBy("gate-1"))
		seen <- struct{}{}
		free, at := sub.busyMessage(at, "north", idle)
		if !free.Newer(held) {
			t.Errorf("%+v came after %+v, and is not newer", free, held)
		}
		sub.message(at, area.FlagTopic("north"), exactly("0"))
		if o := w.ended(id); o.State != area.OrderPlayed {
			t.Errorf("order %s ended %s", id, o.State)
		}
	}
	if slices.ContainsFunc(sub.out.since(0), func(s string) bool { return strings.HasSuffix(s, "/busy ") || strings.HasSuffix(s, "/busy (null)") }) {
		t.Error("a busy topic was empty")
	}
}

// TestDumbDevice: what knows a flag alone takes the area with 1, and a player
// waits for its 0.
func TestDumbDevice(t *testing.T) {
	t.Parallel()
	h := start(t)
	w := h.watch()
	played, seen := make(chan struct{}, 1), make(chan struct{})
	h.classic("gate-1", "north", "1", func() {
		played <- struct{}{}
		<-seen
	})
	h.publish("tacet/area/north/busy/set/bell", "1")
	_, at := w.busy(0, "north", heldBy("bell"))
	id := h.announce(`{"to":{"location":"1"},"message":"Boarding"}`)
	w.order(id, func(o area.Order) bool { return o.State == area.OrderAssigned })
	select {
	case <-played:
		t.Error("gate-1 plays while the bell sounds")
	default:
	}
	h.publish("tacet/area/north/busy/set/bell", "0")
	_, at = w.busy(at, "north", heldBy("gate-1"))
	seen <- struct{}{}
	w.busy(at, "north", idle)
	if o := w.ended(id); o.State != area.OrderPlayed {
		t.Errorf("the order ended %s", o.State)
	}
	var bell area.Device
	h.get("/devices/bell", &bell)
	same(t, "via of the bell", bell.Via, area.ViaDumb)
}

// TestForbiddenTopics: MQTT 5 is told that a topic is the hub's alone; a client
// that calls itself as the hub does is not let in.
func TestForbiddenTopics(t *testing.T) {
	t.Parallel()
	h := start(t)
	for _, topic := range []string{"tacet/area/north/busy", "tacet/area/north/busy/flag", "tacet/area/north/leader", "tacet/area/north/work",
		"tacet/device/gate-1/grant", "tacet/device/gate-1/work", "tacet/response/t1"} {
		out, _ := h.pub("-V", "5", "-t", topic, "-m", "{}", "-r")
		if !strings.Contains(out, "Not authorized") {
			t.Errorf("mosquitto_pub -V 5 -t %s: %q, want not authorized", topic, out)
		}
	}
	for _, id := range []string{"tacet-hub", "inline"} {
		if out, err := h.pub("-i", id, "-t", "x", "-m", "x"); err == nil {
			t.Errorf("mosquitto_pub -i %s was let in: %s", id, out)
		}
	}
	sub := h.subscribe("-v", "-t", "tacet/area/north/busy")
	sub.busyMessage(0, "north", idle)
}
