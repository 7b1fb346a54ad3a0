package hubd

import (
	"log/slog"
	"testing"

	"github.com/tacet-hub/tacet/broker/brokertest"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// TestReloadSaysWhatItDidNotTake: keys that need a start are named each time,
// and what has not changed is not told as news.
func TestReloadSaysWhatItDidNotTake(t *testing.T) {
	cert, key, _ := brokertest.NewCA(t).Files(t, t.TempDir(), "hub")
	lines := &book{}
	h, _, _ := startedLogging(t, slog.New(slog.NewTextHandler(lines, nil)), func(c *conf.Config) {
		c.HTTP.TLS = conf.TLS{CertFile: cert, KeyFile: key}
	})
	next := h.cfg
	next.Areas = append(next.Areas, wing("south", "South Wing"))
	if err := h.Reload(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if n := lines.count("need a start"); n != 0 {
		t.Errorf("an area that was taken needs a start: %s", lines.buf.String())
	}
	next.HTTP.Addr, next.Limits.MQTTSessions = "127.0.0.1:1", 7
	for range 2 {
		if err := h.Reload(t.Context(), next); err != nil {
			t.Fatal(err)
		}
	}
	if n := lines.count(`msg="changed keys need a start" rule="http.addr limits.mqtt_sessions" n=2`); n != 2 {
		t.Errorf("told %d times, want 2: %s", n, lines.buf.String())
	}
	if n := lines.count("certificate read again"); n != 0 {
		t.Errorf("a certificate that is the same was told %d times", n)
	}
	if s := h.certs.stats(); s.Loads != 4 {
		t.Errorf("stats %+v; want 4 loads", s)
	}
}
