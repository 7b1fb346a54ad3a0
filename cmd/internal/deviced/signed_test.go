package deviced

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/firmware/leader"
)

// Each line says whose it is, and no key stands twice.
func TestEachLineIsSignedOnce(t *testing.T) {
	var out bytes.Buffer
	plain := slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
			return slog.Attr{}
		}
		return a
	}})
	log := slog.New(signed{plain, "gate-1"})
	log.Info("a", "n", 1)
	log.Info("b", "device", "gate-1")
	log.Info("c", "device", "web-1")
	log.Info("d", "node", "hub-1")
	log.Info("e", "node", "hub-1", "device", "web-1")
	log.With("area", "north").Info("f", "device", "web-1")
	want := []string{"msg=a n=1 device=gate-1", "msg=b device=gate-1", "msg=c device=web-1 node=gate-1", "msg=d node=hub-1 device=gate-1",
		"msg=e node=hub-1 device=web-1", "msg=f area=north device=web-1 node=gate-1"}
	if got := strings.TrimSpace(out.String()); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestCountersAreNamed(t *testing.T) {
	got := map[string]uint64{}
	count(got, "member", leader.Stats{Reigns: 1, CallsFailed: 3})
	if len(got) != 2 || got["member_reigns"] != 1 || got["member_calls_failed"] != 3 {
		t.Errorf("%v", got)
	}
}
