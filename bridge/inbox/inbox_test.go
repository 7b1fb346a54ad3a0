package inbox

import (
	"sync"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
)

func TestDropsTheOldest(t *testing.T) {
	for name, q := range map[string]*Queue{"number": New(3, 1<<20), "bytes": New(100, 6)} {
		for range 3 { // round the ring
			before := q.Dropped()
			for i := range 10 {
				q.Put(area.Message{Topic: "t", Payload: []byte{byte(i)}})
			}
			got := q.Take(make([]area.Message, 0, 10))
			if len(got) != 3 || got[0].Payload[0] != 7 || q.Dropped()-before != 7 || q.bytes != 0 {
				t.Errorf("%s: %d left, %d dropped, %d bytes; want 3, 7, 0", name, len(got), q.Dropped()-before, q.bytes)
			}
		}
	}
}

func TestTakesOneThatIsTooLarge(t *testing.T) {
	q := New(3, 4)
	for _, payload := range []string{"a", "larger than that", "b"} {
		q.Put(area.Message{Payload: []byte(payload)})
		if got := q.Take(make([]area.Message, 0, 3)); len(got) != 1 || string(got[0].Payload) != payload {
			t.Errorf("got %v, want %q alone", got, payload)
		}
	}
	if n := q.Dropped(); n != 0 {
		t.Errorf("%d dropped", n)
	}
}

// TestNobodyIsForgotten: who takes until nothing comes, and then waits for a
// signal, gets everything, in each sender's order.
func TestNobodyIsForgotten(t *testing.T) {
	const senders, each = 4, 5000
	q := New(senders*each, 1<<20)
	var sending sync.WaitGroup
	for s := range senders {
		sending.Go(func() {
			for n := range each {
				q.Put(area.Message{Topic: "t", Conn: uint64(s), Payload: []byte{byte(n), byte(n >> 8)}})
			}
		})
	}
	var next [senders]int
	for got, batch := 0, make([]area.Message, 0, 64); got < senders*each; {
		batch = q.Take(batch[:0])
		for _, m := range batch {
			if n := int(m.Payload[0]) | int(m.Payload[1])<<8; n != next[m.Conn] {
				t.Fatalf("message %d of sender %d after %d", n, m.Conn, next[m.Conn])
			}
			next[m.Conn]++
		}
		if got += len(batch); len(batch) == 0 {
			<-q.Wake()
		}
	}
	sending.Wait()
}
