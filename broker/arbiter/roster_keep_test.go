package arbiter

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/store"
)

// TestAreasAreKept makes, changes and removes areas, and starts again.
func TestAreasAreKept(t *testing.T) {
	db, err := store.Open(filepath.Join(t.TempDir(), "tacet.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	start := func() *Roster {
		r := testRoster(t)
		if err := r.KeepIn(db.Table("areas"), slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := start()
	hall := AreaConfig{ID: "hall", Name: "Great Hall", Source: area.SourceAPI, Volume: 20, Lease: 9 * time.Second, Locations: []Place{{ID: "h1", Name: "Door"}}}
	for _, err := range []error{
		r.Create(hall), r.Create(AreaConfig{ID: "gone", Source: area.SourceAPI}), r.Create(AreaConfig{ID: "shed", Source: area.SourceAPI}), r.Remove("gone"),
		r.Save(t.Context(), "hall"), r.Save(t.Context(), "gone"), r.Save(t.Context(), "north"),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	hall.Volume = 30
	if err := r.Update(hall); err != nil {
		t.Error(err)
	}
	if _, err := r.Seen("Pier 9"); err != nil {
		t.Error(err)
	}
	if err := r.Save(t.Context(), "pier-9"); err != nil {
		t.Error(err)
	}
	r = start()
	if got, want := r.Names(), []area.Name{"hall", "north", "pier-9", "shed", "south"}; !slices.Equal(got, want) {
		t.Errorf("areas %v, want %v", got, want)
	}
	if c, _ := r.Settings("hall"); c.Volume != 30 || c.Lease != 9*time.Second || c.Name != "Great Hall" || c.Source != area.SourceAPI || !slices.Equal(c.Locations, hall.Locations) {
		t.Errorf("hall is %+v", c)
	}
	if a, _ := r.Area("pier-9"); a.Name != "Pier 9" || a.Source != area.SourceSeen {
		t.Errorf("pier-9 is %+v", a)
	}
	for _, name := range []string{"x1", "x2"} {
		if _, err := r.Seen(name); err != nil {
			t.Error(err)
		}
	}
	if _, err := r.Seen("x3"); area.CodeOf(err) != area.CodeRate {
		t.Errorf("a fourth seen area, one of them from before: %v", err)
	}
}

// TestLocationsThatDevicesBringAreKept: after a start an order for one is accepted
// before its device is back.
func TestLocationsThatDevicesBringAreKept(t *testing.T) {
	db, err := store.Open(filepath.Join(t.TempDir(), "tacet.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	start := func() *Roster {
		r := testRoster(t)
		if err := r.KeepIn(db.Table("areas"), slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := start()
	brought := map[string]area.Name{"Gate 77": "north", "Pier Gate": "pier-9"}
	for at, in := range brought {
		if _, _, err := r.Register(Player{Device: area.DeviceID("d-" + in), Area: string(in), Location: at, Via: area.ViaMQTT, Link: "mqtt/" + string(in)}); err != nil {
			t.Fatal(err)
		}
		if err := r.Save(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	r = start()
	for at, want := range brought {
		if in, _, _, err := r.Resolve(area.To{Location: &at}); err != nil || in != want {
			t.Errorf("%s after a start: %q, %v", at, in, err)
		}
	}
	c, _ := r.Settings("north")
	c.Locations = slices.Clone(c.Locations) // the file's alone
	if err := errors.Join(r.Update(c), r.Save(t.Context(), "north")); err != nil {
		t.Fatal(err)
	}
	at := "Gate 77"
	if in, _, _, err := start().Resolve(area.To{Location: &at}); area.CodeOf(err) != area.CodeUnknownLocation {
		t.Errorf("a location that was removed is in %q, %v", in, err)
	}
	r = start()
	for i := range mostPlaces + 1 {
		_, _, err = r.Register(Player{Device: "gate-1", Area: "north", Location: fmt.Sprint("l", i), Via: area.ViaMQTT, Link: "mqtt/1"})
	}
	if area.CodeOf(err) != area.CodeRate {
		t.Errorf("more than %d locations: %v", mostPlaces, err)
	}
}
