package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
)

// untouched reads everything that bad input must leave alone.
func (h *hub) untouched() string {
	h.t.Helper()
	var all []string
	for _, path := range []string{"/areas", "/devices", "/orders", "/schedules", "/readings", "/topics?filter=tacet/area/%2B/busy"} {
		a := h.call("GET", path, nil)
		a.want(h.t, 200, nil)
		all = append(all, string(a.body))
	}
	return strings.Join(all, "\n")
}

// TestBadInputOverMQTT: each bad payload is counted and touches nothing else.
func TestBadInputOverMQTT(t *testing.T) {
	t.Parallel()
	h := start(t)
	w, s := h.watch(), h.sender()
	h.publish("home/north/hall/temperature", "20")
	w.reading(0, func(r area.Reading) bool { return r.Value == 20.0 })
	w.barrier(s) // whatever follows from it has been told
	before := h.untouched()
	for _, c := range []struct{ name, topic, payload, counter string }{
		{"a status that is no JSON", "tacet/device/gate-1/status", `{"v":1,`, "tacet_arbiter_malformed"},
		{"a status with a wrong type", "tacet/device/gate-1/status", `{"v":1,"online":"yes","area":"north"}`, "tacet_arbiter_malformed"},
		{"a claim that is no JSON", "tacet/area/north/claim/gate-1", `want`, "tacet_arbiter_malformed"},
		{"a claim without op", "tacet/area/north/claim/gate-1", `{"boot":1,"claim":1,"seq":1}`, "tacet_arbiter_malformed"},
		{"a claim of a wrong type", "tacet/area/north/claim/gate-1", `{"op":"want","boot":"one","claim":1,"seq":1}`, "tacet_arbiter_malformed"},
		{"a claim beyond its size", "tacet/area/north/claim/gate-1", `{"op":"hello","nonce":"` + strings.Repeat("x", 100_000) + `"}`, "tacet_arbiter_malformed"},
		{"a flag that is none", "tacet/area/north/busy/set/bell", "yes", "tacet_arbiter_malformed"},
		{"a topic of the hub's", "tacet/area/north/busy", `{}`, "tacet_broker_refused_messages"},
		{"a grant of a stranger's", "tacet/device/gate-1/grant", `{"op":"grant"}`, "tacet_broker_refused_messages"},
		{"a submit that is no JSON", "tacet/area/north/submit", `hello`, "tacet_broker_gated_messages"},
		{"a submit without work", "tacet/area/north/submit", `{"v":1,"body":{"message":"x"}}`, "tacet_broker_gated_messages"},
	} {
		count := h.metric(c.counter)
		s.publish(c.topic, c.payload)
		w.barrier(s)
		if now := h.metric(c.counter); now != count+1 {
			t.Errorf("%s: %s went from %g to %g, want one more", c.name, c.counter, count, now)
		}
	}
	// Larger than any packet may be: the connection ends, and nothing else does. (An
	// MQTT 5 client is told the limit, and sends nothing.)
	big := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(big, make([]byte, 300_000), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := h.pub("-V", "311", "-t", "home/north/hall/temperature", "-f", big); err == nil {
		t.Errorf("a packet of 300,000 bytes was taken: %s", out)
	}
	w.barrier(s)
	same(t, "everything", h.untouched(), before)
	// A value that is none is told as bad, and counted.
	mark := w.told.mark()
	h.publish("home/north/hall/temperature", "warm")
	r, _ := w.reading(mark, func(area.Reading) bool { return true })
	if r.Quality != area.Bad || r.Value != nil {
		t.Errorf("the reading of warm is %+v, want bad without a value", r)
	}
	same(t, "faults of the kind text", h.metric(`tacet_pump_faults{reason="text"}`), 1)
}
