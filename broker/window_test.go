package broker

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestWindowModel plays a client and the library against the window: whatever
// the order of events, nothing is lost, doubled or out of order, and no more
// are open than allowed.
func TestWindowModel(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := window{most: 1 + r.IntN(40)}
		if r.IntN(3) == 0 {
			w.most = math.MaxUint16
		}
		var sent, open, called []uint16
		next := uint16(1)
		pass := func(id uint16, v verdict) {
			if v != verdictDrop {
				sent, open = append(sent, id), append(open, id)
			}
		}
		for range 2000 {
			room := r.IntN(5) > 0
			switch r.IntN(4) {
			case 0, 1:
				pass(next, w.offer(next, false))
				next++
			case 2:
				if len(open) == 0 {
					continue
				}
				i := r.IntN(len(open))
				w.forget(open[i])
				open = slices.Delete(open, i, i+1)
			case 3:
				if id, ok := w.call(room); ok {
					called = append(called, id)
				}
			}
			if len(called) > 0 && r.IntN(2) == 0 {
				pass(called[0], w.offer(called[0], false))
				called = called[1:]
			}
			if len(open) > w.most {
				t.Fatalf("seed %d: %d open, at most %d", seed, len(open), w.most)
			}
		}
		for len(sent) < int(next)-1 {
			for _, id := range open {
				w.forget(id)
			}
			open = nil
			for id, ok := w.call(true); ok; id, ok = w.call(true) {
				called = append(called, id)
			}
			if len(called) == 0 {
				t.Fatalf("seed %d: stalls with %d of %d sent", seed, len(sent), next-1)
			}
			for _, id := range called {
				pass(id, w.offer(id, false))
			}
			called = nil
		}
		for i, id := range sent {
			if id != uint16(i+1) {
				t.Fatalf("seed %d: message %d came as number %d", seed, id, i+1)
			}
		}
	}
}

// TestWindowReplay: what is in the queue of a session and comes live as well
// comes once, in the order of the queue.
func TestWindowReplay(t *testing.T) {
	w := window{most: 3}
	w.begin(map[uint16]idState{1: idSent, 2: idBefore, 3: idWaiting})
	var sent []uint16
	offer := func(id uint16) {
		if w.offer(id, false) != verdictDrop {
			sent = append(sent, id)
		}
	}
	call := func() {
		for id, ok := w.call(true); ok; id, ok = w.call(true) {
			offer(id)
		}
	}
	offer(5)
	w.replay([]uint16{2, 1, 3, 4, 5, 6}, 10)
	call()
	for _, id := range []uint16{5, 6, 7, 2} { // copies but for 7
		offer(id)
	}
	if !slices.Equal(sent, []uint16{2, 1, 3}) {
		t.Fatalf("sent %v before any was acknowledged, want 2 1 3", sent)
	}
	if !w.sentBefore(1) || !w.sentBefore(2) || w.sentBefore(3) {
		t.Errorf("sent before: %t %t %t, want 1 and 2 alone", w.sentBefore(1), w.sentBefore(2), w.sentBefore(3))
	}
	for i := 0; i < len(sent); i++ {
		w.forget(sent[i])
		call()
	}
	if !slices.Equal(sent, []uint16{2, 1, 3, 4, 5, 6, 7}) {
		t.Errorf("sent %v, want the queue and then 7, once each", sent)
	}
	if v := w.offer(6, false); v != verdictAsk {
		t.Errorf("a copy of an acknowledged message: %d, want to be asked about", v)
	}
	if w.forget(6); len(w.ids) != 0 || w.open != 0 || w.called != 0 {
		t.Errorf("left over: %v, %d open, %d called", w.ids, w.open, w.called)
	}
}
