package gpio

import (
	"fmt"
	"testing"
	"time"
)

// Each pattern gives back its own table, and goes on after its end.
func TestPatternAt(t *testing.T) {
	for state, p := range Patterns() {
		if len(p) > 1 && len(p)%2 != 0 {
			t.Errorf("%s has %d durations: after the end it goes on with the wrong one", state, len(p))
		}
		var at time.Duration
		for i := range 3 * len(p) {
			d := p[i%len(p)]
			want := len(p) == 1 || i%len(p)%2 == 0
			for _, since := range []time.Duration{at, at + d - 1} {
				if on, left := p.At(since); on != want || len(p) > 1 && left != at+d-since {
					t.Errorf("%s after %v: on %v for %v, want %v for %v", state, since, on, left, want, at+d-since)
				}
			}
			at += d
		}
	}
	if on, left := (Pattern)(nil).At(0); on || left <= 0 {
		t.Errorf("no pattern: on %v for %v", on, left)
	}
}

func TestPatternsDiffer(t *testing.T) {
	seen := map[string]string{}
	for state, p := range Patterns() {
		key := fmt.Sprint(p)
		if seen[key] != "" {
			t.Errorf("%s and %s cannot be told apart", state, seen[key])
		}
		seen[key] = state
		var all time.Duration
		for _, d := range p {
			if all += d; d < 100*time.Millisecond {
				t.Errorf("%s: nobody sees %v", state, d)
			}
		}
		if len(p) > 1 && all > 3*time.Second {
			t.Errorf("%s: one has to look for %v", state, all)
		}
	}
}
