//go:build linux

package rungs

import (
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/cmd/internal/rungs/scope"
)

func TestBetween(t *testing.T) {
	at := func(ms int) time.Time { return time.Unix(1_800_000_000, 0).Add(time.Duration(ms) * time.Millisecond) }
	s := func(gate string, from, to int) sound { return sound{gate: gate, from: at(from), to: at(to)} }
	for name, c := range map[string]struct {
		sounds []sound
		want   string // in the text or the error
		bad    bool
	}{
		"turns":           {[]sound{s("b", 1100, 2000), s("a", 0, 1000), s("a", 2300, 3000)}, "2 hand-overs with 100 to 300 ms", false},
		"one gate alone":  {[]sound{s("a", 0, 1000), s("a", 1100, 2000)}, "did not take turns", true},
		"an overlap":      {[]sound{s("a", 0, 1000), s("b", 900, 2000)}, "b began 100ms before a had ended", true},
		"as exact as can": {[]sound{s("a", 0, 1000), s("b", 990, 2000)}, "1 hand-overs", false},
	} {
		text, err := between(c.sounds)
		if (err != nil) != c.bad || err == nil && !strings.Contains(text, c.want) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q, %v, want %q", name, text, err, c.want)
		}
	}
}

func TestAmplifierHasToBeOn(t *testing.T) {
	record := func(pins ...scope.Pins) *gate {
		g := &gate{name: "gate-1", p: &Puppet{}}
		for i, p := range pins {
			b := scope.Block{At: time.Duration(i) * 100 * time.Millisecond, Pins: p, Samples: make([]int16, scope.Rate/10)}
			if i == 2 || i == 3 {
				for j := range b.Samples {
					b.Samples[j] = int16(1000 - 2000*(j%2))
				}
			}
			g.p.trace.Add(b)
		}
		return g
	}
	if text, err := amp(record(0, scope.Amp, scope.Amp, scope.Amp, 0, 0)); err != nil || !strings.Contains(text, "all of 1 sounds") {
		t.Errorf("on: %q, %v", text, err)
	}
	for name, g := range map[string]*gate{"late": record(0, 0, 0, scope.Amp, 0, 0), "early off": record(0, scope.Amp, 0, 0, 0, 0), "never": record(0, 0, 0, 0, 0, 0)} {
		if text, err := amp(g); err == nil {
			t.Errorf("%s: %q", name, text)
		}
	}
}
