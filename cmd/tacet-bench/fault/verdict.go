package fault

import (
	"fmt"
	"sync"
)

// Verdict is what is wrong with one thing that was promised.
type Verdict int

// The verdicts.
const (
	Kept        Verdict = iota
	Lost                // acknowledged, and gone or older than it
	Resurrected         // cleared, acknowledged, and there again
	Phantom             // there, and never sent
	Double              // with QoS 2, and delivered twice
	Disordered          // delivered behind one that was sent after it
	verdicts
)

func (v Verdict) String() string {
	return [...]string{"kept", "LOST", "RESURRECTED", "PHANTOM", "DOUBLE", "ORDER"}[v]
}

// tally counts verdicts. It is safe for concurrent use.
type tally struct {
	mu    sync.Mutex
	n     [verdicts]int
	lines []string // the first of them in words
}

// mostLines is how many verdicts are told in words.
const mostLines = 20

func (t *tally) add(v Verdict, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n[v]++
	if v != Kept {
		t.line(v.String()+" "+format, args...)
	}
}

// note says something that helps to understand the verdicts.
func (t *tally) note(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.line(format, args...)
}

// line is called with the lock.
func (t *tally) line(format string, args ...any) {
	if len(t.lines) < mostLines {
		t.lines = append(t.lines, fmt.Sprintf(format, args...))
	}
}

// broken is how many promises were not kept so far.
func (t *tally) broken() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for v := Lost; v < verdicts; v++ {
		n += t.n[v]
	}
	return n
}

// figures are the verdicts as figures, each a promise.
func (t *tally) figures() (list []Figure) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for v := Lost; v < verdicts; v++ {
		list = append(list, promise(v.String(), "", float64(t.n[v]), 0))
	}
	return list
}
