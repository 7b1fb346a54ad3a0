package main

import (
	"maps"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/servers"
)

func TestMedians(t *testing.T) {
	rounds := []map[string]float64{{"a": 3}, {"a": 1}, {"a": 2}}
	anchors := []map[string]float64{{"a": 1}, {"a": 1}, {"a": 4}}
	if got := medians(rounds, nil, nil); !maps.Equal(got, map[string]float64{"a": 2}) {
		t.Errorf("got %v, want 2", got)
	}
	if got := medians(rounds, anchors, func(x, anchor float64) float64 { return x / anchor }); !maps.Equal(got, map[string]float64{"a": 1}) {
		t.Errorf("got %v, want 1", got)
	}
}

// TestBridge runs each trial on the real hub, for a moment: nothing is lost, and
// nothing comes out of order.
func TestBridge(t *testing.T) {
	dir := t.TempDir()
	program, err := servers.Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		way string
		run func() bridgeTrial
	}{
		"mqtt":      {byMQTT, func() bridgeTrial { return bridgeTrial{run: through(3, 16)} }},
		"websocket": {bySend, func() bridgeTrial { return bridgeTrial{run: through(3, 16)} }},
		"latency":   {byMQTT, func() bridgeTrial { return bridgeTrial{run: paced(500)} }},
		"readings":  {byMQTT, func() bridgeTrial { return bridgeTrial{run: readings(500, 50)} }},
	} {
		figures, err := bridgeBench{tacet: program, length: time.Second}.once(t.Context(), t.TempDir(), c.run(), c.way)
		if err != nil || figures["wrong"] != 0 || len(figures) == 0 {
			t.Errorf("%s: %v, %v", name, figures, err)
		}
	}
}
