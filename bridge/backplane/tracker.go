package backplane

import (
	"math"
	"slices"
)

// mostLives is how many lives of an origin that are over are remembered: more than a
// node has within the hour that a history lives. Of the oldest nothing is known then.
const mostLives = 64

// Tracker follows the numbers of every origin on one channel. It is a pure state
// machine; one goroutine uses it.
type Tracker struct {
	origins map[string]*origin
}

type origin struct {
	life uint64
	next uint64   // number that is expected
	over []uint64 // lives before that one, oldest first: a history still has what came of them
}

// Verdict is what a batch brings.
type Verdict struct {
	New  []Envelope // in order, to be handed on
	Hole uint64     // so many numbers before New are missing
	Old  int        // envelopes that had come before
}

// Take judges a batch that came live. Of an origin that was never heard the first
// batch is where the counting begins; a new life of a known one begins at 1, since
// it was listened to before. Of a life that is over all has come before.
func (t *Tracker) Take(b Batch) Verdict {
	o := t.of(b)
	if o.life != b.Life {
		return Verdict{Old: len(b.List)}
	}
	end := b.First + uint64(len(b.List))
	switch {
	case end <= o.next:
		return Verdict{Old: len(b.List)}
	case b.First < o.next:
		old := int(o.next - b.First)
		o.next = end
		return Verdict{New: b.List[old:], Old: old}
	}
	v := Verdict{New: b.List, Hole: b.First - o.next}
	o.next = end
	return v
}

func (t *Tracker) of(b Batch) *origin {
	if t.origins == nil {
		t.origins = map[string]*origin{}
	}
	o, known := t.origins[b.Origin]
	switch {
	case !known:
		o = &origin{life: b.Life, next: b.First}
		t.origins[b.Origin] = o
	case o.life != b.Life && !slices.Contains(o.over, b.Life):
		over := append(o.over, o.life)
		*o = origin{life: b.Life, next: 1, over: over[max(0, len(over)-mostLives):]}
	}
	return o
}

// Next is the number that is expected of an origin in a life: 1 of one that is new,
// and of one that is over a number that never comes. 0: the origin is not known.
func (t *Tracker) Next(name string, life uint64) uint64 {
	switch o := t.origins[name]; {
	case o == nil:
		return 0
	case o.life == life:
		return o.next
	case slices.Contains(o.over, life):
		return math.MaxUint64
	}
	return 1
}

// Begin has the counting of an origin begin at number n where it is not known: for
// what the history shows at the moment when listening begins.
func (t *Tracker) Begin(b Batch, n uint64) {
	if o := t.of(Batch{Origin: b.Origin, Life: b.Life, First: n}); o.life == b.Life && o.next < n {
		o.next = n
	}
}

// Forget drops an origin that is gone.
func (t *Tracker) Forget(name string) { delete(t.origins, name) }
