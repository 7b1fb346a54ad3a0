package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// TestNpmDevice: a device on the npm package is told of work without an
// argument, may ask for it, and is shown to everybody as it is.
func TestNpmDevice(t *testing.T) {
	t.Parallel()
	h := start(t)
	w, n := h.watch(), h.npm()
	n.invoke("ReceiveDeviceConnected", "gate-1", "north", 1)
	n.event(0, "ReceiveWorkStatus", hears(t, false))
	same(t, "GetWork without work", string(n.invoke("GetWork")), "null")
	id := h.announce(`{"to":{"device":"gate-1"},"message":"Boarding"}`)
	n.event(0, "ReceiveWork", hears(t))
	var work area.Order
	if err := json.Unmarshal(n.invoke("GetWork"), &work); err != nil || work.ID != id || *work.Message != "Boarding" {
		t.Errorf("GetWork answers %+v (%v)", work, err)
	}
	n.invoke("BroadcastWorkStatus", "North Wing", true)
	w.order(id, func(o area.Order) bool { return o.State == area.OrderPlaying })
	n.invoke("BroadcastWorkStatus", "north", false)
	if o := w.ended(id); o.State != area.OrderPlayed || *o.Device != "gate-1" {
		t.Errorf("the order ended %s", story(o))
	}
	n.invoke("BroadcastWorkStatus", "north", false) // always succeeds

	var d area.Device
	h.get("/devices/gate-1", &d)
	if d.Via != area.ViaClassic || d.Presence != area.Online || d.Area != "north" || d.Location == nil || *d.Location != "1" || d.Kind != "player" {
		t.Errorf("the device is %+v", d)
	}
	var members []struct {
		Device       *string
		ConnectionID string `json:"connection_id"`
	}
	if err := json.Unmarshal(n.invoke("GetPresence", "area:north"), &members); err != nil || len(members) != 1 || *members[0].Device != "gate-1" {
		t.Errorf("GetPresence answers %+v (%v)", members, err)
	}
	n.say(map[string]bool{"stop": true})
	w.device("gate-1", "presence", `"offline"`)
	h.get("/devices/gate-1", &d)
	if d.Reason == nil || *d.Reason != area.PresentGoodbye {
		t.Errorf("after its goodbye the device is %+v", d)
	}
}

// TestUnclaimedWork: a device that is told of work and does nothing loses it to
// another.
func TestUnclaimedWork(t *testing.T) {
	t.Parallel()
	h := start(t)
	w, lazy := h.watch(), h.npm()
	lazy.invoke("ReceiveDeviceConnected", "gate-1", "north", 1)
	id := h.announce(`{"to":{"location":"1"},"message":"Boarding"}`)
	lazy.event(0, "ReceiveWork", hears(t))
	h.classic("gate-2", "north", "2", func() {})
	o := w.ended(id)
	if o.State != area.OrderPlayed || *o.Device != "gate-2" {
		t.Errorf("the order ended %s", story(o))
	}
	same(t, "unclaimed works", h.metric("tacet_devices_unclaimed"), 1)
	same(t, "GetWork of who lost it", string(lazy.invoke("GetWork")), "null")
}

// TestLocations: one location has one device; the later has it.
func TestLocations(t *testing.T) {
	t.Parallel()
	h := start(t)
	w := h.watch()
	one, two := h.connect(), h.connect()
	one.call("ReceiveDeviceConnected", "gate-1", "north", "1")
	w.device("gate-1", "location", `"1"`)
	two.call("ReceiveDeviceConnected", "gate-2", "north", "1")
	w.device("gate-2", "location", `"1"`)
	w.device("gate-1", "location", `null`)
	if _, err := one.invoke("ReceiveDeviceConnected", "gate-1", "north", "3"); err == nil {
		t.Error("gate-1 of north was mounted in south")
	}
	var n area.Area
	h.get("/areas/north", &n)
	if at := n.Locations[0].Device; at == nil || *at != "gate-2" || fmt.Sprint(n.Members) != "[gate-1 gate-2]" {
		t.Errorf("north is %+v", n)
	}
	// An operator's word beats the device's.
	h.call("PUT", "/devices/gate-1", `{"area":null,"location":"2","name":"Desk"}`).want(t, 200, nil)
	w.device("gate-1", "name", `"Desk"`)
	h.get("/areas/north", &n)
	if i := slices.IndexFunc(n.Locations, func(l area.Location) bool { return l.ID == "2" }); n.Locations[i].Device == nil || *n.Locations[i].Device != "gate-1" {
		t.Errorf("north is %+v", n)
	}
}

// TestNpmFullDevice: a device of the full calls on the npm package takes turns with
// an MQTT device, keeps the area by renewing, does what it is offered, and is
// measured.
func TestNpmFullDevice(t *testing.T) {
	t.Parallel()
	h := start(t)
	w, n := h.watch(), h.npm()
	mqtt := h.gate("gate-1", "north", "1")
	var welcome struct {
		Boot    uint64 `json:"boot"`
		LeaseMs int64  `json:"lease_ms"`
	}
	if err := json.Unmarshal(n.invoke("Register", map[string]any{"device": "panel-2", "area": "north", "location": 2, "boot": 0, "mid": "m2"}), &welcome); err != nil || welcome.Boot == 0 || welcome.LeaseMs != lease.Milliseconds() {
		t.Fatalf("Register answers %+v (%v)", welcome, err)
	}
	var d area.Device
	h.get("/devices/panel-2", &d)
	if d.Via != area.ViaSignalR || d.Presence != area.Online || d.Location == nil || *d.Location != "2" {
		t.Errorf("the device is %+v", d)
	}

	id := h.announce(`{"to":{"location":"2"},"message":"Boarding"}`)
	n.event(0, "WorkOffered", func(args []json.RawMessage) bool {
		o, err := area.ParseOffer(args[0])
		return err == nil && o.Work == id
	})
	n.invoke("TakeWork", string(id))
	var grant struct {
		Token area.Token `json:"token"`
	}
	if err := json.Unmarshal(n.invoke("Claim", "north", map[string]any{"claim": 1, "work": id, "dur_ms": 8000}), &grant); err != nil || grant.Token == 0 {
		t.Fatalf("Claim answers %+v (%v)", grant, err)
	}
	begin := time.Now()
	next := h.announce(`{"to":{"location":"1"},"message":"Go"}`)
	again := time.NewTicker(lease / 20)
	defer again.Stop()
	for at := begin; at.Sub(begin) < lease+guard+time.Second; at = <-again.C { // longer than the lease
		n.invoke("Renew", "north", grant.Token)
	}
	if o := h.order(next); o.State.Ended() || o.State == area.OrderPlaying {
		t.Errorf("beside a lease that is renewed the other's order is %s", o.State)
	}
	now := time.Since(begin).Milliseconds() + 1
	n.invoke("Done", "north", grant.Token, "played", map[string]int64{"at_ms": now, "first_ms": 1, "last_ms": now})
	if o := w.ended(id); o.State != area.OrderPlayed || *o.Device != "panel-2" || o.Attempt != 1 {
		t.Errorf("the order ended %s", story(o))
	}
	if o := w.ended(next); o.State != area.OrderPlayed || *o.Device != "gate-1" {
		t.Errorf("the MQTT device's order ended %s", story(o))
	}
	if v, code := h.proof("--url", h.ready.HTTP); code != 0 || v.Measured != 2 {
		t.Errorf("exit %d, %+v", code, v)
	}
	oneVoice(t, nil, mqtt)
}
