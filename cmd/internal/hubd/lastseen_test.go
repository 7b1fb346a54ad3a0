package hubd

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// TestLastSeen: whom a node has seen the other knows when the first is gone, users and
// devices; and a device that is removed is forgotten.
func TestLastSeen(t *testing.T) {
	s := startServer(t)
	h1, h2, stop1 := s.two(t)
	var ann signedIn
	w := ask(h1, "POST", "/auth/login", `{"name":"ann","password":"ann","token":true}`)
	if err := json.Unmarshal(w.Body.Bytes(), &ann); err != nil || ann.Token == "" {
		t.Fatalf("sign in: %d %s", w.Code, w.Body)
	}
	ask(h1, "GET", "/api/v1/areas", "", "Authorization: Bearer "+ann.Token)
	if _, _, err := h1.roster.Register(arbiter.Player{Device: "gate-9", Area: "north", Via: area.ViaMQTT, Link: "mqtt/9"}); err != nil {
		t.Fatal(err)
	}
	if err := stop1(); err != nil {
		t.Fatal(err)
	}
	ci, err := h2.auth.CreateToken(t.Context(), auth.Token{Name: "ci", Roles: []string{"operator"}, Areas: []string{"*"}})
	if err != nil {
		t.Fatal(err)
	}
	asks := func(method, path string) string {
		return ask(h2, method, path, "", "Authorization: Bearer "+ci).Body.String()
	}
	eventually(t, "hub-2 knows when they were there", func() bool {
		list := asks("GET", "/api/v1/last-seen")
		return strings.Contains(list, `"user":"ann","device":null,"at":"2`) && strings.Contains(list, `"user":null,"device":"gate-9","at":"2`) && strings.Count(list, `"node":"hub-1"`) == 2
	})
	if one := asks("GET", "/api/v1/last-seen?user=ci"); !strings.Contains(one, `"ci"`) || strings.Contains(one, "ann") {
		t.Errorf("of one: %s", one)
	}
	h2.seen.Changed("device//gate-7", []byte(`{"at":"2999-01-01T00:00:00.000Z","node":"hub-1"}`))
	for _, id := range []area.DeviceID{"gate-7", "gate-9"} { // 9 may be known already, of hub-1
		if err := h2.roster.Retained(arbiter.Player{Device: id, Area: "north", Via: area.ViaMQTT}); err != nil {
			t.Fatal(err)
		}
	}
	if d := asks("GET", "/api/v1/devices/gate-7"); !strings.Contains(d, `"presence":"unknown"`) || !strings.Contains(d, `"last_seen":"2999-`) {
		t.Errorf("of which the broker has a status alone: %s", d)
	}
	asks("DELETE", "/api/v1/devices/gate-9")
	if list := asks("GET", "/api/v1/last-seen"); strings.Contains(list, "gate-9") {
		t.Errorf("once removed: %s", list)
	}
}
