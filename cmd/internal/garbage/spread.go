package garbage

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// Spread begins to look after the program's garbage, and stop has the runtime go
// back to its own ways. With a GOGC in the environment it does nothing. It is for
// whole programs: the percentage is one for all that run in a process.
func Spread() (stop func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	s := &spreader{began: time.Now(), percent: usual}
	s.next()
	return s.stop
}

// spreader is called after each cycle.
type spreader struct {
	began time.Time

	mu      sync.Mutex
	pace    pace
	percent int  // in force
	over    bool // stopped
	cycles  int
}

// mark is something that nobody holds: when it is gone there was a cycle.
type mark struct{ _ *mark }

// next has cycle called when there was one.
func (s *spreader) next() { runtime.AddCleanup(new(mark), (*spreader).cycle, s) }

func (s *spreader) cycle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.cycles++
	s.set(s.pace.step(found(time.Since(s.began))))
	s.next()
}

// set changes the percentage, which stops the world for a moment: not for
// little.
func (s *spreader) set(percent int) {
	if percent == s.percent || percent != usual && percent < s.percent+s.percent/4 && percent > s.percent-s.percent/4 {
		return
	}
	s.percent = percent
	debug.SetGCPercent(percent)
}

func (s *spreader) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.set(usual)
}

// found asks the runtime what its last cycle found.
func found(at time.Duration) cycle {
	m := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"},
		{Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}, {Name: "/gc/gomemlimit:bytes"},
	}
	metrics.Read(m)
	n := func(i int) uint64 { return m[i].Value.Uint64() }
	return cycle{at: at, allocated: n(0), live: n(1), roots: n(2) + n(3), limit: n(4)}
}
