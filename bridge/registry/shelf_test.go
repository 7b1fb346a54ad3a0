package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/history"
	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/store"
)

// disk is a shelf in memory that counts what is written, and may be full.
type disk struct {
	mu      sync.Mutex
	records map[string][]byte
	puts    map[string]int
	full    bool
}

func newDisk() *disk { return &disk{records: map[string][]byte{}, puts: map[string]int{}} }

func (d *disk) Load(each func(string, []byte) error) error {
	d.mu.Lock()
	all := maps.Clone(d.records)
	d.mu.Unlock()
	return shelf(all).Load(each)
}

func (d *disk) PutAsync(key string, value []byte, done func(error)) {
	d.mu.Lock()
	var err error
	if d.full {
		err = area.Errorf(area.CodeDiskFull, "no room")
	} else {
		d.records[key] = value
		d.puts[key]++
	}
	d.mu.Unlock()
	done(err)
}

func (d *disk) DeleteAsync(key string, done func(error)) {
	d.mu.Lock()
	delete(d.records, key)
	d.mu.Unlock()
	done(nil)
}

func (d *disk) setFull(full bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = full
}

func (d *disk) written(key string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.puts[key]
}

func (d *disk) keys() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []string
	_ = shelf(d.records).Load(func(k string, _ []byte) error { list = append(list, k); return nil })
	return list
}

// kept is a registry that runs over a shelf; stop ends it as a hub does.
func kept(t *testing.T, cfg Config, assign Assignments, on Shelf) (r *Registry, ros *roster, stop func()) {
	t.Helper()
	_, ros = newRegistry(t, cfg, assign)
	hist, err := history.New(history.Config{}, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if r, err = New(cfg, ros, hist, assign, on, time.Now, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = r.Run(ctx) })
	return r, ros, func() { cancel(); wg.Wait() }
}

func showPresence(d area.Device) string {
	if d.Reason == nil {
		return string(d.Presence)
	}
	return fmt.Sprintf("%s (%s)", d.Presence, *d.Reason)
}

// TestSensorsOutliveTheProcess: what a sensor is comes back as it was, its values
// stale and nobody knowing whether it is there; retained copies change neither that
// nor last_seen, a live word does.
func TestSensorsOutliveTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		on, cfg := newDisk(), Config{Timeout: 10 * time.Minute}
		r, _, stop := kept(t, cfg, new(Memory), on)
		r.See(mapping.Sight{Device: "x1", Name: "Hall", Attributes: map[string]string{"model": "M"}}, "tasmota", "t/x1")
		warm := mapping.Value{Device: "x1", Area: "north", Metric: "temperature", Channel: "2", Unit: "°C", Value: 21.5}
		r.Put(warm, "t/x1", false)
		r.Put(mapping.Value{Device: "x1", Metric: "switch", Value: true}, "t/x1/s", false)
		r.Put(mapping.Value{Device: "x1", Metric: "co2", Bad: true}, "t/x1/s", false)
		r.Put(mapping.Value{Device: "new", Metric: "co2", Value: 400.0}, "t/new", false)
		r.Put(mapping.Value{Device: "gate-1", Metric: "co2", Value: 400.0}, "t/gate-1", false) // a player: the roster's
		r.Present(mapping.Presence{Device: "x2", State: area.Offline, Reason: area.PresentWill}, "t/x2", false)
		r.Present(mapping.Presence{Device: "x3", State: area.Online, Reason: area.PresentConnected}, "t/x3", false)
		before, _ := r.Device("x1")
		stop()
		time.Sleep(time.Hour)

		r, _, stop = kept(t, cfg, new(Memory), on)
		defer stop()
		after, _ := r.Device("x1")
		for i := range before.Readings {
			if before.Readings[i].Quality == area.Good {
				before.Readings[i].Quality = area.Stale
			}
		}
		before.Presence, before.Reason = area.PresenceUnknown, nil
		if !reflect.DeepEqual(after, before) {
			t.Errorf("brought back\n%+v, want\n%+v", after, before)
		}
		if s := r.Stats(); s.Sensors != 4 || s.Readings != 4 {
			t.Errorf("%+v", s)
		}
		presences := func(what, x1, inbox, x2, x3 string) {
			t.Helper()
			synctest.Wait()
			for id, want := range map[area.DeviceID]string{"x1": x1, "new": inbox, "x2": x2, "x3": x3} {
				if d, _ := r.Device(id); showPresence(d) != want {
					t.Errorf("%s: %s is %s, want %s", what, id, showPresence(d), want)
				}
			}
		}
		presences("at first", "unknown", "unknown", "offline (will)", "unknown")
		if d, _ := r.Device("new"); d.Area != area.Unassigned {
			t.Errorf("the inbox has %+v", d)
		}
		r.Put(warm, "t/x1", true)
		r.Put(mapping.Value{Device: "x1", Metric: "switch", Value: false}, "t/x1/s", true)
		r.Present(mapping.Presence{Device: "x3", State: area.Online, Reason: area.PresentConnected}, "t/x3", true)
		presences("retained copies", "unknown", "unknown", "offline (will)", "unknown")
		if d, _ := r.Device("x1"); !d.LastSeen.Equal(before.LastSeen.Time) || d.Readings[1].Quality != area.Stale || d.Readings[1].Value != false {
			t.Errorf("after retained copies: %+v", d)
		}
		r.Put(warm, "t/x1", false)
		r.Put(mapping.Value{Device: "x2", Metric: "co2", Value: 400.0}, "t/x2/v", false)
		presences("live", "online (connected)", "unknown", "online (connected)", "unknown")
		time.Sleep(11 * time.Minute)
		presences("silence", "offline (timeout)", "offline (timeout)", "offline (timeout)", "unknown")
		r.Put(mapping.Value{Device: "x3", Metric: "co2", Value: 400.0}, "t/x3/v", false)
		presences("x3 is heard", "offline (timeout)", "offline (timeout)", "offline (timeout)", "online (connected)")
		time.Sleep(11 * time.Minute)
		presences("x3 speaks for itself", "offline (timeout)", "offline (timeout)", "offline (timeout)", "online (connected)")
	})
}

// TestReadingsDoNotWearTheDisk: a new thing is written soon, readings and last_seen
// every ten minutes, and one that changes what it is all the time once a minute.
func TestReadingsDoNotWearTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		on := newDisk()
		r, _, stop := kept(t, Config{}, new(Memory), on)
		defer stop()
		count := func(what string, calm, wild int) {
			t.Helper()
			synctest.Wait()
			if on.written("calm") != calm || on.written("wild") != wild {
				t.Errorf("%s: written %d and %d times, want %d and %d", what, on.written("calm"), on.written("wild"), calm, wild)
			}
		}
		for i := range 20 * 60 {
			r.Put(value("calm", "", "co2", float64(i)), "t", false)
			r.See(mapping.Sight{Device: "wild", Name: fmt.Sprint("n", i)}, "tasmota", "t")
			if i == 10 {
				count("ten seconds", 1, 1)
			}
			time.Sleep(time.Second)
		}
		count("twenty minutes", 3, 21) // the ten-minute ones among them
		time.Sleep(30 * time.Minute)
		count("nothing more came", 3, 21)
	})
}

// TestWhatIsForgottenIsGoneFromDisk: what an operator removes is gone at once, what
// the convention takes away soon, what nobody heard for 30 days then.
func TestWhatIsForgottenIsGoneFromDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		on, said := newDisk(), new(Memory)
		_ = said.Put("mine", Assignment{Area: ptr(area.Name("north"))})
		r, ros, stop := kept(t, Config{}, said, on)
		for _, d := range []string{"a", "b", "mine", "old", "p"} {
			r.Put(value(d, "", "co2", 1.0), "t/"+d, false)
		}
		time.Sleep(writeSoon)
		expect := func(what, want string) {
			t.Helper()
			synctest.Wait()
			if got := fmt.Sprint(on.keys()); got != want {
				t.Errorf("%s: on disk %s, want %s", what, got, want)
			}
		}
		expect("all", "[a b mine old p]")
		if err := r.Remove(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		expect("removed", "[b mine old p]")
		r.Forget("b")
		ros.mu.Lock()
		ros.players["p"] = area.Device{ID: "p"}
		ros.mu.Unlock()
		r.Put(value("p", "", "noise", 1.0), "t/p", false)
		time.Sleep(writeApart)
		expect("forgotten, and a player after all", "[mine old]")
		time.Sleep(forgetAfter / 2)
		r.Put(value("b", "", "co2", 1.0), "t/b", false)
		stop()
		time.Sleep(forgetAfter/2 + time.Hour)
		r, _, stop = kept(t, Config{}, said, on)
		if _, there := r.Device("old"); there {
			t.Error("old is there")
		}
		time.Sleep(writeSoon)
		expect("30 days at a start", "[b mine]")
		time.Sleep(forgetAfter / 2)
		expect("30 days of a hub that runs", "[mine]")
		if _, there := r.Device("b"); there {
			t.Error("b is there")
		}
		stop()
	})
}

// TestFullDisk: what the disk does not take is tried again.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		on := newDisk()
		r, _, stop := kept(t, Config{}, new(Memory), on)
		defer stop()
		on.setFull(true)
		r.Put(value("a", "", "co2", 1.0), "t", false)
		time.Sleep(writeSoon)
		synctest.Wait()
		if s := r.Stats(); s.Written != 0 || s.Unwritten != 1 {
			t.Errorf("%+v", s)
		}
		on.setFull(false)
		time.Sleep(writeApart + writeSoon)
		synctest.Wait()
		if s := r.Stats(); s.Written != 1 || on.written("a") != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestShelfIsBounded: no more is brought back than there may be, and a record that
// cannot be read hides no other.
func TestShelfIsBounded(t *testing.T) {
	db, err := store.Open(filepath.Join(t.TempDir(), "tacet.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	table := db.Table("sensors")
	if err := table.Put(t.Context(), "bad", []byte("{")); err != nil {
		t.Fatal(err)
	}
	cfg := Config{Sensors: 3, Metrics: 2}
	r, _, stop := kept(t, cfg, new(Memory), table)
	for _, d := range []string{"a", "b", "c", "d"} {
		for _, m := range []string{"m1", "m2", "m3"} {
			r.Put(value(d, "north", m, 1.0), "t", false)
		}
	}
	stop()
	r, _, stop = kept(t, Config{Sensors: 2, Metrics: 1}, new(Memory), table)
	defer stop()
	if s := r.Stats(); s.Sensors != 2 || s.Readings != 2 || s.SensorsRefused != 1 {
		t.Errorf("%+v", s)
	}
	if err := errors.Join(r.Remove(t.Context(), "a"), r.Remove(t.Context(), "never there")); err != nil {
		t.Error(err)
	}
}
