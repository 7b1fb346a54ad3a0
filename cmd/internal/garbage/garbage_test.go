package garbage

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

const mb = 1 << 20

// after is cycles of a program: each so long after the one before, with so much
// allocated between them, and with so much live in the end.
type after struct {
	took      time.Duration
	allocated uint64
	live      uint64
	want      int
}

func TestStep(t *testing.T) {
	const none = math.MaxInt64
	cases := map[string]struct {
		limit  uint64
		roots  uint64
		cycles []after
	}{
		"the first cycle": {none, 0, []after{{time.Millisecond, 4 * mb, mb, 100}}},
		"idle":            {none, 0, []after{{time.Second, 4 * mb, mb, 100}, {time.Minute, 4 * mb, mb, 100}, {2 * time.Minute, mb, mb, 100}}},
		"busy": {none, 0, []after{
			{time.Second, 4 * mb, mb, 100}, {40 * time.Millisecond, 4 * mb, mb, 200}, // it doubles at most
			{80 * time.Millisecond, 8 * mb, mb, 400}, {160 * time.Millisecond, 16 * mb, mb, 800},
			{320 * time.Millisecond, 32 * mb, mb, 1250}, {500 * time.Millisecond, 50 * mb, mb, 1250}, // 50 MB each half second
		}},
		"busier than most": {none, 0, []after{
			{time.Second, 4 * mb, mb, 100}, {time.Millisecond, 64 * mb, mb, 200}, {time.Millisecond, 64 * mb, mb, 400},
			{time.Millisecond, 64 * mb, mb, 800}, {time.Millisecond, 64 * mb, mb, 1600}, {time.Millisecond, 64 * mb, mb, 1600},
		}},
		"calm again":   {none, 0, []after{{time.Second, 4 * mb, mb, 100}, {40 * time.Millisecond, 4 * mb, mb, 200}, {time.Minute, 8 * mb, mb, 100}}},
		"a large heap": {none, 0, []after{{time.Second, 4 * mb, 100 * mb, 100}, {time.Millisecond, 64 * mb, 100 * mb, 100}}},
		"large roots":  {none, 7 * mb, []after{{time.Second, 4 * mb, mb, 100}, {40 * time.Millisecond, 4 * mb, mb, 100}, {80 * time.Millisecond, 16 * mb, mb, 200}}},
		"many connect": {none, 0, []after{
			{time.Second, 4 * mb, 4 * mb, 100}, {40 * time.Millisecond, 8 * mb, 6 * mb, 100}, {40 * time.Millisecond, 12 * mb, 9 * mb, 100},
		}},
		"many connect to a busy one": {none, 0, []after{
			{time.Second, 4 * mb, 4 * mb, 100}, {40 * time.Millisecond, 8 * mb, 4 * mb, 200}, {40 * time.Millisecond, 32 * mb, 8 * mb, 100},
		}},
		"little memory": {32 * mb, 0, []after{{time.Second, 4 * mb, mb, 100}, {time.Millisecond, 4 * mb, mb, 100}, {time.Millisecond, 4 * mb, mb, 100}}},
		"some memory":   {48 * mb, 0, []after{{time.Second, 4 * mb, mb, 100}, {time.Millisecond, 4 * mb, mb, 150}, {time.Millisecond, 4 * mb, mb, 150}}},
		"no time":       {none, 0, []after{{time.Second, 4 * mb, mb, 100}, {0, 4 * mb, mb, 100}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var p pace
			now := cycle{roots: c.roots, limit: c.limit}
			for i, a := range c.cycles {
				now.at += a.took
				now.allocated += a.allocated
				now.live = a.live
				if got := p.step(now); got != a.want {
					t.Errorf("cycle %d, %+v: got %d %%, want %d %%", i, a, got, a.want)
				}
			}
		})
	}
}

// percent is what is in force. (To set it and set it back would undo what the
// spreader sets meanwhile.)
func percent() int {
	m := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(m)
	return int(m[0].Value.Uint64())
}

// TestSpread lets a program make garbage until the runtime has been told, and
// then stops.
func TestSpread(t *testing.T) {
	t.Setenv("GOGC", "")
	debug.SetGCPercent(usual)
	stop := Spread()
	defer stop()
	var kept [][]byte
	for percent() == usual {
		for range 1024 {
			kept = append(kept, make([]byte, 4096))
		}
		kept = kept[:0] // of the same capacity: what is live stays as it is
	}
	stop()
	if p := percent(); p != usual {
		t.Errorf("stopped: %d %%, want %d %%", p, usual)
	}
	runtime.GC()
	runtime.GC()
	if p := percent(); p != usual {
		t.Errorf("two cycles later: %d %%, want %d %%", p, usual)
	}
}

// TestOperatorsOwn is that of an operator who has said how to collect.
func TestOperatorsOwn(t *testing.T) {
	t.Setenv("GOGC", "123")
	before := percent()
	Spread()()
	if p := percent(); p != before {
		t.Errorf("got %d %%, want %d %%", p, before)
	}
}

// TestLittleIsNotSet is that the world is not stopped for a small change.
func TestLittleIsNotSet(t *testing.T) {
	defer debug.SetGCPercent(percent())
	s := &spreader{percent: usual}
	for _, c := range []struct{ ask, want int }{{110, 100}, {200, 200}, {240, 200}, {160, 200}, {250, 250}, {150, 150}, {100, 100}} {
		if s.set(c.ask); s.percent != c.want || percent() != c.want {
			t.Errorf("asked for %d %%: got %d %% (%d %% in force), want %d %%", c.ask, s.percent, percent(), c.want)
		}
	}
}
