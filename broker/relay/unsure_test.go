package relay

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// saidWire writes down what it is handed, for who asks.
type saidWire struct {
	deafWire
	mu   sync.Mutex
	sent []string // first bytes, and who is meant
}

func (w *saidWire) Send(node string, word []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, fmt.Sprint(node, word[0]))
	return nil
}

// said is what it was handed since the last call.
func (w *saidWire) said() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := fmt.Sprint(w.sent)
	w.sent = nil
	return all
}

// What was sent to a node is remembered until the node has said that it is kept, within a
// bound, and when the node is gone, until it is back and has told what it has.
func TestUnsure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := New(Config{Node: "a", Unsure: 50})
		if err != nil {
			t.Fatal(err)
		}
		w := &saidWire{}
		r.Serve(&bookBroker{})
		r.Join(w)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.Run(ctx) }() // joined below
		both := []Node{{"a", 1}, {"b", 1}}
		r.Connected(true)
		r.Nodes(both)
		synctest.Wait()
		has := func(after uint64, want ...uint64) {
			t.Helper()
			synctest.Wait()
			var got []uint64
			for _, x := range r.Unsure("b", after) {
				got = append(got, x.Number)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("unsure are %v, want %v", got, want)
			}
		}
		for range 5 {
			r.Send("b", make([]byte, 10), 1, false)
			r.Send("b", make([]byte, 10), 0, false)
		}
		has(0, 1, 2, 3, 4, 5)
		r.Send("b", make([]byte, 10), 2, true)
		has(0, 2, 3, 4, 5, 6)
		has(4, 5, 6)
		if s := r.Stats(); s.Forgotten != 1 {
			t.Errorf("%d are forgotten, want 1", s.Forgotten)
		}
		r.Hear("b", []byte{wordSettled, 4})
		has(0, 5, 6)
		r.Hear("b", []byte{wordMark, 9})
		synctest.Wait()
		w.said()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if got := w.said(); got != fmt.Sprintf("[b%d b%d]", wordBeat, wordMark) {
			t.Errorf("at the next beat it says %s", got)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := w.said(); got != fmt.Sprintf("[b%d b%d b%d]", wordBeat, wordMark, wordSettled) {
			t.Errorf("at the one after that it says %s", got)
		}
		r.Nodes(both[:1])
		has(0, 5, 6)
		r.Nodes(both)
		has(0, 5, 6)
		r.Hear("b", telling{to: 1, first: true, last: true}.append([]byte{wordFacts}))
		has(0)
		r.Hear("b", []byte{wordMark})
		if synctest.Wait(); r.Stats().Malformed != 1 {
			t.Error("half a word is taken")
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
