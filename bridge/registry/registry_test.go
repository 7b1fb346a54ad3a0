package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/history"
	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/broker/area"
)

// roster is a small one: every text that makes an id is an area, up to most.
type roster struct {
	mu      sync.Mutex
	most    int
	areas   map[area.Name]area.Area
	players map[area.DeviceID]area.Device
}

func (r *roster) Seen(text string) (area.Name, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id, ok := area.Slug(text)
	if _, known := r.areas[id]; known {
		return id, nil
	}
	if !ok || len(r.areas) >= r.most {
		return "", area.Errorf(area.CodeUnknownArea, "no area %q", text)
	}
	r.areas[id] = area.Area{ID: id, Name: text}
	return id, nil
}

func (r *roster) Area(a area.Name) (area.Area, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, ok := r.areas[a]
	return found, ok
}

func (r *roster) Player(d area.DeviceID) (area.Device, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, ok := r.players[d]
	return found, ok
}

func newRegistry(t *testing.T, cfg Config, assign Assignments) (*Registry, *roster) {
	t.Helper()
	ros := &roster{most: 3, areas: map[area.Name]area.Area{
		"north": {ID: "north", Locations: []area.Location{{ID: "1"}}},
	}, players: map[area.DeviceID]area.Device{"gate-1": {ID: "gate-1", Area: "pier"}}}
	hist, err := history.New(history.Config{}, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(cfg, ros, hist, assign, nil, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return r, ros
}

// courses is what a registry alone has.
func courses(t *testing.T, r *Registry, f Filter, from, to time.Time, step time.Duration) []Series {
	t.Helper()
	list, missing := r.Courses(t.Context(), Course{Filter: f, From: from, To: to, Step: step})
	if missing != nil {
		t.Errorf("missing is %q", missing)
	}
	return list
}

func value(device, in, metric string, v any) mapping.Value {
	return mapping.Value{Device: area.DeviceID(device), Area: in, Metric: metric, Value: v, Bad: v == nil}
}

func ptr[T any](v T) *T { return &v }

func TestPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRegistry(t, Config{Timeout: time.Minute, Node: "hub-1"}, new(Memory))
		ctx, stop := context.WithCancel(t.Context())
		go func() { _ = r.Run(ctx) }()
		var urgent atomic.Int32
		defer r.Watch(func(_ area.DeviceID, u bool) {
			if u {
				urgent.Add(1)
			}
		})()
		check := func(what string, want area.Presence, reason string, told int) {
			t.Helper()
			synctest.Wait()
			d, _ := r.Device("hall")
			got := ""
			if d.Reason != nil {
				got = *d.Reason
			}
			if d.Presence != want || got != reason || int(urgent.Load()) != told {
				t.Errorf("%s: %s (%s), told %d; want %s (%s), told %d", what, d.Presence, got, urgent.Load(), want, reason, told)
			}
		}
		first := time.Now()
		reading, ok := r.Put(value("hall", "north", "co2", 1.0), "t", true)
		if !ok || reading.Quality != area.Stale || reading.Area != "north" {
			t.Errorf("retained copy: %+v, %v", reading, ok)
		}
		check("retained", area.PresenceUnknown, "", 1)
		time.Sleep(time.Second)
		if d, _ := r.Device("hall"); d.LastSeen != nil {
			t.Errorf("a retained copy moved last_seen to %v", d.LastSeen)
		}
		if reading, _ = r.Put(value("hall", "north", "co2", 2.0), "t", false); reading.Quality != area.Good {
			t.Errorf("live: %+v", reading)
		}
		check("live", area.Online, area.PresentConnected, 2)
		time.Sleep(30 * time.Second)
		r.Put(value("hall", "north", "co2", 3.0), "t", true)
		r.Put(value("hall", "north", "noise", nil), "t", false)
		check("a new metric", area.Online, area.PresentConnected, 3)
		time.Sleep(59 * time.Second)
		check("just before", area.Online, area.PresentConnected, 3)
		time.Sleep(3 * time.Second)
		check("silent", area.Offline, area.PresentTimeout, 4)
		if d, _ := r.Device("hall"); d.LastSeen.Sub(area.At(first).Time) != 31*time.Second || d.Node != "hub-1" || d.Kind != "sensor" {
			t.Errorf("%+v", d)
		}
		r.Put(value("hall", "north", "co2", 3.5), "t", false)
		check("back", area.Online, area.PresentConnected, 5)
		stop()
		synctest.Wait()
	})
}

func TestNewestReading(t *testing.T) {
	r, _ := newRegistry(t, Config{}, new(Memory))
	r.Put(value("hall", "north", "co2", 1.0), "t", false)
	if _, ok := r.Put(value("hall", "north", "co2", 1.0), "t", true); ok {
		t.Error("a retained copy of what came live is news")
	}
	if got := r.ReadingsOf("hall")[0].Quality; got != area.Good {
		t.Errorf("quality %s, want good", got)
	}
	if got, ok := r.Put(value("hall", "north", "co2", 5.0), "t", true); !ok || got.Quality != area.Stale {
		t.Errorf("another retained value: %+v %v, want stale", got, ok)
	}
	if got, ok := r.Put(value("hall", "north", "co2", nil), "t", false); !ok || got.Quality != area.Bad || got.Value != nil {
		t.Errorf("text for a number: %+v %v, want bad", got, ok)
	}
	if s := r.Stats(); s.Readings != 1 || s.Accepted != 3 || s.Old != 1 || s.Bad != 1 {
		t.Errorf("%+v", s)
	}
	series := courses(t, r, Filter{}, time.Now().Add(-time.Minute), time.Now().Add(time.Minute), time.Hour)
	if len(series) != 1 || len(series[0].Points) != 1 || series[0].Points[0].Value != 1 {
		t.Errorf("stale or bad values are in the history: %+v", series)
	}
}

func TestAreaOfASensor(t *testing.T) {
	kept := new(Memory)
	_ = kept.Put("known", Assignment{Area: ptr(area.Name("north"))})
	r, _ := newRegistry(t, Config{}, kept)
	for name, c := range map[string]struct {
		device, captured string
		want             area.Name
	}{
		"captured id":       {"a", "north", "north"},
		"captured name":     {"b", "North Wing", "north-wing"},
		"none":              {"c", "", area.Unassigned},
		"makes no id":       {"d", "???", area.Unassigned},
		"assigned before":   {"known", "south", "north"},
		"player's own area": {"gate-1", "north", "pier"},
	} {
		got, _ := r.Put(value(c.device, c.captured, "co2", 1.0), "t", false)
		if of := r.ReadingsOf(area.DeviceID(c.device)); got.Area != c.want || of[0].Area != c.want {
			t.Errorf("%s: got %s and %s, want %s", name, got.Area, of[0].Area, c.want)
		}
	}
	if got, err := r.Assign("c", Assignment{Area: ptr(area.Name("north")), Location: ptr(area.LocationID("1")), Name: ptr("Hall")}); err != nil || got.Area != "north" || got.Name != "Hall" {
		t.Errorf("assign: %+v, %v", got, err)
	}
	if got := r.Readings(Filter{Area: ptr(area.Name("north"))}); len(got) != 3 {
		t.Errorf("readings of north: %+v", got)
	}
	if _, player := r.Device("gate-1"); player || len(r.Devices()) != 5 {
		t.Errorf("a player is listed as a sensor: %+v", r.Devices())
	}
	if r.Stats().AreasRefused != 1 {
		t.Errorf("%+v, want one area refused", r.Stats())
	}
}

func TestAssignRefuses(t *testing.T) {
	r, _ := newRegistry(t, Config{Sensors: 1}, new(Memory))
	r.Put(value("here", "", "co2", 1.0), "t", false)
	north, south, one, two := area.Name("north"), area.Name("south"), area.LocationID("1"), area.LocationID("2")
	for name, c := range map[string]struct {
		device area.DeviceID
		a      Assignment
		want   area.Code
	}{
		"unknown area":          {"here", Assignment{Area: &south}, area.CodeUnknownArea},
		"unknown location":      {"here", Assignment{Area: &north, Location: &two}, area.CodeUnknownLocation},
		"location without area": {"here", Assignment{Location: &one}, area.CodeInvalid},
		"a name without text":   {"here", Assignment{Name: ptr("")}, area.CodeInvalid},
		"no id":                 {"", Assignment{}, area.CodeInvalid},
		"a player":              {"gate-1", Assignment{}, area.CodeConflict},
		"one too many":          {"new", Assignment{}, area.CodeDiskFull},
	} {
		if _, err := r.Assign(c.device, c.a); !errors.Is(err, &area.Error{Code: c.want}) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}

func TestBounds(t *testing.T) {
	r, _ := newRegistry(t, Config{Sensors: 2, Metrics: 3}, new(Memory))
	for d := range 4 {
		for m := range 5 {
			r.Put(value(fmt.Sprint("d", d), "", fmt.Sprint("m", m), 1.0), "t", false)
		}
	}
	if got, want := r.Stats(), (Stats{Sensors: 2, Readings: 6, Accepted: 6, SensorsRefused: 10, MetricsRefused: 4}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestFilters(t *testing.T) {
	r, _ := newRegistry(t, Config{}, new(Memory))
	for _, v := range []mapping.Value{value("a", "north", "co2", 1.0), value("b", "north", "co2", 1.0), value("b", "north", "noise", 1.0)} {
		r.Put(v, "t", false)
		v.Channel = "2"
		r.Put(v, "t", false)
	}
	for name, c := range map[string]struct {
		f    Filter
		want int
	}{
		"all": {Filter{}, 6}, "device": {Filter{Device: ptr(area.DeviceID("b"))}, 4}, "metric": {Filter{Metric: ptr("co2")}, 4},
		"channel": {Filter{Channel: ptr("2"), Metric: ptr("noise")}, 1}, "no such device": {Filter{Device: ptr(area.DeviceID("x"))}, 0},
		"no such area": {Filter{Area: ptr(area.Name("x"))}, 0}, "some areas": {Filter{Areas: []area.Name{"x", "north"}}, 6},
		"other areas": {Filter{Areas: []area.Name{"x"}}, 0}, "no areas": {Filter{Areas: []area.Name{}}, 0},
	} {
		if got := r.Readings(c.f); got == nil || len(got) != c.want {
			t.Errorf("%s: %d readings, want %d", name, len(got), c.want)
		}
	}
}

func TestConfigValidate(t *testing.T) {
	for _, c := range []Config{{Timeout: time.Millisecond}, {Sensors: -1}, {Metrics: -1}} {
		if c.Validate() == nil {
			t.Errorf("%+v: no error", c)
		}
	}
}
