package bridge

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/registry"
	"github.com/tacet-hub/tacet/broker/area"
)

func registryAssignment(in area.Name) registry.Assignment { return registry.Assignment{Area: &in} }

func TestFigures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := newWatcher()
		messages := uint64(100)
		f := NewFigures(Sources{
			Overlaps: func() int { return 1 },
			Speaking: func() int { return 2 },
			Waiting:  func() int { return 3 },
			SoundP95: func() time.Duration { return 250 * time.Millisecond },
			Messages: func() uint64 { messages += 40; return messages },
		}, hub, time.Now)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = f.Run(ctx) }()
		figures := func(d time.Duration) map[string]float64 {
			time.Sleep(d)
			synctest.Wait()
			values, list := map[string]float64{}, hub.of(GroupMetrics, eventMetric)
			if len(list) < 7 {
				return values
			}
			for _, s := range list[len(list)-7:] {
				var m []Metric
				must(t, json.Unmarshal([]byte(s.args), &m))
				values[m[0].Name] = m[0].Value
				if !m[0].Timestamp.Equal(area.At(s.at).Time) {
					t.Errorf("%s at %v, sent at %v", m[0].Name, m[0].Timestamp, s.at)
				}
			}
			return values
		}
		if got := figures(4999 * time.Millisecond); len(got) != 0 {
			t.Errorf("too early: %v", got)
		}
		got := figures(time.Millisecond)
		for name, want := range map[string]float64{
			"overlaps_24h": 1, "speaking": 2, "waiting": 3, "online": 0, "order_to_sound_p95_ms": 250, "messages_s": 8, "dropped_s": 0,
		} {
			if v, ok := got[name]; !ok || v != want {
				t.Errorf("%s = %v, %v; want %v", name, v, ok, want)
			}
		}
		cancel()
		synctest.Wait()
	})
}
