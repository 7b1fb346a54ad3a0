package e2e

import (
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/hubd"
)

// TestDemo: the simulated site speaks in every area, one at a time, and ends
// when it is told to.
func TestDemo(t *testing.T) {
	t.Parallel()
	wavs := t.TempDir()
	p := run(t, tacet(t), "demo", "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--wav-dir", wavs)
	line, _ := p.line(0, "ready", func(s string) bool { return strings.HasPrefix(s, "ready ") })
	at := func(key string) string {
		_, rest, _ := strings.Cut(line, " "+key+"=")
		value, _, _ := strings.Cut(rest, " ")
		return value
	}
	h := &hub{t: t, ready: hubd.Ready{HTTP: at("http"), MQTT: at("mqtt")}, web: &http.Client{Timeout: patience}}
	t.Cleanup(h.web.CloseIdleConnections)
	for _, want := range []string{at("http"), "mosquitto_pub ", "tacet say "} {
		p.line(1, want, func(s string) bool { return strings.Contains(s, want) })
	}
	sub := h.subscribe("-v", "-t", "tacet/area/+/busy")
	for _, name := range []area.Name{"north", "south", "pier"} {
		sub.busyMessage(0, name, func(b area.Busy) bool { return b.State == area.Held })
	}
	for _, path := range []string{"/readings", "/schedules", "/devices"} {
		h.until("the demo has "+path, func() bool {
			var list struct{ Items []struct{} }
			h.get(path, &list)
			return len(list.Items) > 0
		})
	}
	p.signal(syscall.SIGTERM)
	same(t, "exit code", p.wait(), 0)
	for _, in := range [][]string{{"gate-1", "gate-2"}, {"gate-3", "gate-4"}, {"pier-1", "pier-2", "pier-3", "pier-4"}} {
		var gates []*gate
		for _, id := range in {
			gates = append(gates, &gate{program: p, id: id, wav: wavs + "/" + id + ".wav"})
		}
		oneVoice(t, nil, gates...)
	}
}
