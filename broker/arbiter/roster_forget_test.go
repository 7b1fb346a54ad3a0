package arbiter

import (
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// TestForget: a player that is not live leaves the roster, and comes back when it
// says its status.
func TestForget(t *testing.T) {
	r, err := NewRoster(RosterConfig{Node: "hub-1", Areas: []AreaConfig{{ID: "north", Volume: -1, Locations: []Place{{ID: "1"}}}}}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	changes := 0
	defer r.Watch(func() { changes++ })()
	gate := Player{Device: "gate-1", Area: "north", Location: "1", Via: area.ViaMQTT, Link: "mqtt/1", Boot: 1}
	for range 2 {
		if _, _, err := r.Register(gate); err != nil {
			t.Fatal(err)
		}
		if err := r.Forget("gate-1"); area.CodeOf(err) != area.CodeConflict {
			t.Errorf("a live player: %v", err)
		}
		r.Lost("mqtt/1", area.PresentWill)
		before := changes
		if err := r.Forget("gate-1"); err != nil {
			t.Error(err)
		}
		if _, ok := r.Player("gate-1"); ok || changes != before+1 {
			t.Errorf("still there %t, %d changes", ok, changes-before)
		}
		a, _ := r.Area("north")
		if len(a.Members) != 0 || len(a.Locations) != 1 || a.Locations[0].Device != nil {
			t.Errorf("area %+v", a)
		}
		if err := r.Forget("gate-1"); area.CodeOf(err) != area.CodeNotFound {
			t.Errorf("again: %v", err)
		}
		gate.Boot++
	}
}
