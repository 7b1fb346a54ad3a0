package signalr

import (
	"bytes"
	"runtime"
	"testing"
)

// TestOutboxHoldsNoMoreThanItsBound: what is counted is what is held, whatever
// the length of the frames; and when all is written, nothing is.
func TestOutboxHoldsNoMoreThanItsBound(t *testing.T) {
	const limit, boxes = 1 << 20, 20
	for _, length := range []int{20, 170, 1000, 50_000} {
		list := make([]*outbox, boxes)
		before := heap()
		queued := 0
		for i := range list {
			o := &outbox{limit: limit, empty: make(chan struct{})}
			list[i], queued = o, 0
			for v := starts; v != overflow; queued++ {
				v = o.put(false, control(bytes.Clone(make([]byte, length))))
			}
		}
		if held := (heap() - before) / boxes; held > limit*105/100 {
			t.Errorf("%d frames of %d bytes hold %d bytes", queued, length, held)
		}
		if o := list[0]; queued < limit/(length*5/4+2*frameCost) || o.bytes > limit {
			t.Errorf("%d frames of %d bytes count as %d", queued, length, o.bytes)
		}
		runtime.KeepAlive(list)
	}
}

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

func TestOutbox(t *testing.T) {
	frame := func(text string) *frame { return &frame{b: []byte(text), n: 1} }
	o := &outbox{limit: 10 * frameCost, empty: make(chan struct{})}
	if !o.lend(3) || o.lend(1) {
		t.Error("lent while it was being written, or not while it was empty")
	}
	for _, text := range []string{"a", "bc", "d"} {
		if v := o.put(false, frame(text)); v != queued {
			t.Errorf("%s: %v", text, v)
		}
	}
	if v := o.put(false, frame(string(make([]byte, 9*frameCost)))); v != overflow {
		t.Errorf("too much: %v", v)
	}
	if n := len(o.queue); n != 3 {
		t.Errorf("%d frames queued", n)
	}
	batch, n := o.next(3, nil)
	if string(batch) != "abcd" || n != 3 || o.bytes != 4 {
		t.Errorf("%q of %d messages, %d bytes left", batch, n, o.bytes)
	}
	if v := o.put(true, frame("last")); v != queued {
		t.Errorf("last: %v", v)
	}
	if v := o.put(false, frame("more")); v != refused {
		t.Errorf("after the last: %v", v)
	}
	batch, _ = o.next(4, nil)
	if !bytes.Equal(batch, []byte("last")) {
		t.Errorf("%q", batch)
	}
	if batch, _ = o.next(4, nil); batch != nil || o.bytes != 0 || o.draining {
		t.Errorf("%q, %d bytes, draining %t", batch, o.bytes, o.draining)
	}
	select {
	case <-o.empty:
	default:
		t.Error("nobody is told that it is empty")
	}
}

// TestBacklogIsPacked: of a long queue of short frames nothing is lost, whether it
// is written piece by piece or all at once.
func TestBacklogIsPacked(t *testing.T) {
	o := &outbox{limit: 1 << 20, empty: make(chan struct{})}
	var want []byte
	messages := uint64(0)
	for i := range 20_000 {
		length := 20 + i%40
		if i%1000 == 999 {
			length = 5000 // which is not packed
		}
		b := bytes.Repeat([]byte{byte(i)}, length)
		if v := o.put(false, &frame{b: b, n: 1}); v == overflow {
			if i < 10_000 {
				t.Errorf("%d frames fill the queue", i)
			}
			break
		}
		want, messages = append(want, b...), messages+1
	}
	if o.bytes > o.limit {
		t.Errorf("%d bytes, though %d is the bound", o.bytes, o.limit)
	}
	var got []byte
	wrote := 0
	for {
		batch, n := o.next(wrote, nil)
		if batch == nil {
			break
		}
		got, wrote, messages = append(got, batch...), len(batch), messages-n
		if len(got) < len(want)/2 { // and more comes meanwhile
			more := []byte{1, 2, 3}
			if o.put(false, &frame{b: more, n: 1}) != overflow {
				want, messages = append(want, more...), messages+1
			}
		}
	}
	if !bytes.Equal(got, want) || messages != 0 || o.bytes != 0 {
		t.Errorf("%d of %d bytes came, %d messages and %d bytes are left", len(got), len(want), messages, o.bytes)
	}
}
