package e2e

import (
	"slices"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what must come. It is long since it is
// spent by failing tests alone.
const patience = 90 * time.Second

// journal keeps what somebody told, in order, and lets tests wait for more. It
// is bounded by the test's length; it drops nothing.
type journal[T any] struct {
	mu      sync.Mutex
	entries []T
	over    bool          // nothing more will come
	more    chan struct{} // closed when an entry or the end came
}

func newJournal[T any]() *journal[T] { return &journal[T]{more: make(chan struct{})} }

// add keeps one more entry; it never blocks.
func (j *journal[T]) add(v T) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = append(j.entries, v)
	close(j.more)
	j.more = make(chan struct{})
}

// end says that nothing more will come.
func (j *journal[T]) end() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.over = true
	close(j.more)
	j.more = make(chan struct{})
}

// mark is a position after everything that has come so far.
func (j *journal[T]) mark() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.entries)
}

// since is what has come since a position.
func (j *journal[T]) since(mark int) []T {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.entries[mark:])
}

// look is the first entry since a position that fits, and the position after
// it; without one, a channel that is closed when there is more to look at.
func (j *journal[T]) look(mark int, fits func(T) bool) (v T, after int, found, over bool, more <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := mark; i < len(j.entries); i++ {
		if fits(j.entries[i]) {
			return j.entries[i], i + 1, true, j.over, nil
		}
	}
	return v, 0, false, j.over, j.more
}

// await is the first entry since a position that fits, and the position after
// it. It waits for it, and fails the test when nothing more comes.
func (j *journal[T]) await(t testing.TB, mark int, what string, fits func(T) bool) (T, int) {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		v, after, found, over, more := j.look(mark, fits)
		if found {
			return v, after
		}
		if over {
			t.Fatalf("%s: not told before the end; told was %s", what, brief(j.since(mark)))
		}
		select {
		case <-more:
		case <-late.C:
			t.Fatalf("%s: not told in %s; told was %s", what, patience, brief(j.since(mark)))
		}
	}
}
