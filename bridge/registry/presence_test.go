package registry

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/history"
	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/broker/area"
)

func TestPresenceHasItsReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := newRegistry(t, Config{Timeout: time.Minute}, new(Memory))
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { _ = w.Run(ctx) }() // ends with the bubble
		said := func(state area.Presence, reason string, replay bool) {
			w.Present(mapping.Presence{Device: "hall", State: state, Reason: reason}, "hall/status", replay)
		}
		value := func(replay bool) {
			w.Put(mapping.Value{Device: "hall", Metric: "co2", Value: 400.0}, "hall/co2", replay)
		}
		expect := func(what string, state area.Presence, reason string, seen bool) {
			t.Helper()
			d, _ := w.Device("hall")
			got := ""
			if d.Reason != nil {
				got = *d.Reason
			}
			if d.Presence != state || got != reason || (d.LastSeen != nil) != seen {
				t.Errorf("%s: %s (%s), seen %v; want %s (%s), %v", what, d.Presence, got, d.LastSeen, state, reason, seen)
			}
		}
		said(area.Online, area.PresentConnected, true)
		expect("retained online", area.Online, area.PresentConnected, false)
		value(true)
		expect("and a retained value", area.Online, area.PresentConnected, false)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		expect("and nothing live", area.PresenceUnknown, "", false)
		said(area.Online, area.PresentConnected, false)
		expect("live online", area.Online, area.PresentConnected, true)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		expect("one that speaks for itself is not judged by its silence", area.Online, area.PresentConnected, true)
		said(area.Asleep, area.PresentAsleep, false)
		expect("asleep", area.Asleep, area.PresentAsleep, true)
		said(area.Offline, area.PresentWill, false)
		value(false)
		expect("a value does not bring it back", area.Offline, area.PresentWill, true)
		said(area.Offline, area.PresentGoodbye, false)
		expect("goodbye", area.Offline, area.PresentGoodbye, true)
	})
}

func TestSilentSensorTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := newRegistry(t, Config{Timeout: time.Minute}, new(Memory))
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { _ = w.Run(ctx) }() // ends with the bubble
		w.Put(mapping.Value{Device: "hall", Metric: "co2", Value: 400.0}, "hall/co2", false)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if d, _ := w.Device("hall"); d.Presence != area.Offline || *d.Reason != area.PresentTimeout {
			t.Errorf("%+v", d)
		}
	})
}

func TestHeardMovesLastSeen(t *testing.T) {
	w, _ := newRegistry(t, Config{}, new(Memory))
	w.Heard("button") // nobody knows it
	if _, ok := w.Device("button"); ok {
		t.Error("a device is made")
	}
	w.See(mapping.Sight{Device: "button"}, "zigbee2mqtt", "t")
	told := 0
	defer w.Watch(func(area.DeviceID, bool) { told++ })()
	for range 3 {
		w.Heard("button")
	}
	if d, _ := w.Device("button"); d.LastSeen == nil || d.Presence != area.Online || told != 1 {
		t.Errorf("%+v, told %d times, want once", d, told)
	}
}

func TestWhatASensorSaysOfItself(t *testing.T) {
	w, _ := newRegistry(t, Config{}, new(Memory))
	w.See(mapping.Sight{Device: "x1", Area: "north", Name: "Hall", Attributes: map[string]string{"model": "M"}}, "tasmota", "t")
	d, ok := w.Device("x1")
	if !ok || d.Name != "Hall" || d.Area != "north" || d.Attributes["convention"] != "tasmota" || d.Attributes["model"] != "M" || d.LastSeen != nil || d.Presence != area.PresenceUnknown {
		t.Errorf("%+v", d)
	}
	own := "Mine"
	if _, err := w.Assign("x1", Assignment{Name: &own}); err != nil {
		t.Fatal(err)
	}
	w.Forget("x1")
	if d, ok := w.Device("x1"); !ok || d.Name != own || len(d.Attributes) != 0 {
		t.Errorf("an operator's word is kept: %+v, %v", d, ok)
	}
	w.See(mapping.Sight{Device: "x2"}, "tasmota", "t")
	w.Forget("x2")
	if _, ok := w.Device("x2"); ok {
		t.Error("x2 is there still")
	}
}

func TestNewestIsShownWhateverComesLast(t *testing.T) {
	w, _ := newRegistry(t, Config{}, new(Memory))
	now := time.Now().UnixMilli()
	for i, ts := range []int64{now - 5000, now - 9000, now + 3_600_000} {
		w.Put(mapping.Value{Device: "d", Metric: "co2", Value: float64(i), TS: ts}, "t", false)
		if i == 1 {
			if got := w.ReadingsOf("d"); len(got) != 1 || got[0].Value != 0.0 || got[0].TS != now-5000 {
				t.Errorf("%+v", got)
			}
		}
	}
	if got := w.ReadingsOf("d"); got[0].Value != 2.0 || got[0].TS > time.Now().UnixMilli() {
		t.Errorf("a clock that is ahead: %+v", got)
	}
}

func TestClocksOfSensorsAreNotComparedWithOurs(t *testing.T) {
	w, _ := newRegistry(t, Config{}, new(Memory))
	w.Put(mapping.Value{Device: "d", Metric: "co2", Value: 1.0}, "status", false)
	w.Put(mapping.Value{Device: "d", Metric: "co2", Value: 2.0, TS: 1631186545040}, "events", false)
	if got := w.ReadingsOf("d"); got[0].Value != 2.0 || got[0].TS != 1631186545040 {
		t.Errorf("%+v", got)
	}
	w.Put(mapping.Value{Device: "d", Metric: "co2", Value: 3.0}, "status", false)
	if got := w.ReadingsOf("d"); got[0].Value != 3.0 {
		t.Errorf("%+v", got)
	}
}

func TestDisown(t *testing.T) {
	w, _ := newRegistry(t, Config{}, new(Memory))
	for _, d := range []area.DeviceID{"guess", "owner"} {
		w.Put(mapping.Value{Device: d, Metric: "co2", Value: 1.0}, "shared", false)
	}
	w.Present(mapping.Presence{Device: "guess2", State: area.Online, Reason: area.PresentConnected}, "shared", false)
	w.Put(mapping.Value{Device: "other", Metric: "co2", Value: 1.0}, "other", false)
	w.Disown("shared", []area.DeviceID{"owner"})
	var left []area.DeviceID
	for _, d := range w.Devices() {
		left = append(left, d.ID)
	}
	if len(left) != 2 || left[0] != "other" || left[1] != "owner" {
		t.Errorf("left: %q", left)
	}
	if s := w.Stats(); s.Readings != 2 || s.Forgotten != 2 {
		t.Errorf("%+v", s)
	}
}

func TestCourseOutlivesTheRegistry(t *testing.T) {
	w, _ := newRegistry(t, Config{}, new(Memory))
	now := time.Now()
	w.history.Add(history.Key{Device: "gone", Metric: "temperature"}, now.UnixMilli(), 21.5)
	w.Put(mapping.Value{Device: "here", Metric: "co2", Value: 400.0, Unit: "ppm"}, "t", false)
	c := Course{From: now.Add(-time.Minute), To: now.Add(time.Minute), Step: time.Minute}
	got, missing := w.Courses(t.Context(), c)
	if len(got) != 2 || got[0].Device != "gone" || *got[0].Unit != "°C" || len(got[0].Points) != 1 || missing != nil {
		t.Errorf("%+v, missing %q", got, missing)
	}
	c.After, c.Most = got[0].Key(), 1
	if got, _ := w.Courses(t.Context(), c); len(got) != 1 || got[0].Device != "here" || *got[0].Unit != "ppm" {
		t.Errorf("after the first: %+v", got)
	}
	c.After, c.Area = "", ptr(area.Name("north"))
	if got, _ := w.Courses(t.Context(), c); len(got) != 0 {
		t.Errorf("of an area: %+v", got)
	}
}
