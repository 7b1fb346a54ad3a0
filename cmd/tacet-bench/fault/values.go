package fault

import (
	"slices"
	"sync"
)

// values is the ledger of things that have a state: which number each key was
// set to, 0 being that it is not there. The operations of a key are sent in
// order, over one connection at a time. It is safe for concurrent use.
type values struct {
	mu   sync.Mutex
	keys map[string]*history
}

// history is what was sent of one key since it was last looked at.
type history struct {
	base uint64 // what it was then
	top  uint64 // greatest number ever sent
	ops  []operation
}

type operation struct {
	value uint64
	acked bool
}

func newValues() *values { return &values{keys: make(map[string]*history)} }

// intend notes that a key is about to be set. What it gives is for ack.
func (v *values) intend(key string, value uint64) (n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	h := v.keys[key]
	if h == nil {
		h = new(history)
		v.keys[key] = h
	}
	h.ops = append(h.ops, operation{value: value})
	h.top = max(h.top, value)
	return len(h.ops) - 1
}

// ack notes that an operation was acknowledged.
func (v *values) ack(key string, n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.keys[key].ops[n].acked = true
}

// present are the keys that must be there, whatever was not acknowledged.
func (v *values) present() (keys []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for key, h := range v.keys {
		if !slices.Contains(h.legal(), 0) {
			keys = append(keys, key)
		}
	}
	return keys
}

// open is how many operations have not been acknowledged.
func (v *values) open() (n int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, h := range v.keys {
		for _, op := range h.ops {
			if !op.acked {
				n++
			}
		}
	}
	return n
}

// judge compares with what was found after a fault, of those keys that are
// asked for, and goes on from there.
func (v *values) judge(found map[string]uint64, mine func(key string) bool, t *tally) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for key := range found {
		if v.keys[key] == nil {
			t.add(Phantom, "%s is %d and was never sent", key, found[key])
		}
	}
	for key, h := range v.keys {
		if !mine(key) {
			continue
		}
		verdict := h.judge(found[key])
		t.add(verdict, "%s is %d, may be %d", key, found[key], h.legal())
		h.base, h.ops = found[key], nil
	}
}

// legal are the values that a key may have: the last acknowledged, or one that
// was sent after it.
func (h *history) legal() []uint64 {
	list := []uint64{h.base}
	for _, op := range h.ops {
		if op.acked {
			list = list[:0]
		}
		list = append(list, op.value)
	}
	return list
}

func (h *history) judge(found uint64) Verdict {
	legal := h.legal()
	switch {
	case slices.Contains(legal, found):
		return Kept
	case found > h.top:
		return Phantom
	case found != 0 && legal[0] == 0:
		return Resurrected
	}
	return Lost
}
