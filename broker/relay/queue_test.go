package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
)

// bookWire writes down what it is handed; while it is cut it takes nothing.
type bookWire struct {
	deafWire
	cut  bool
	sent []string // first bytes, and who is meant
}

var errCut = errors.New("cut")

func (w *bookWire) Send(node string, word []byte) error {
	if w.cut {
		return errCut
	}
	w.sent = append(w.sent, fmt.Sprint(node, word[0]))
	return nil
}

// bookBroker counts what it receives.
type bookBroker struct {
	noBroker
	got []byte
}

func (b *bookBroker) Receive(_ string, record []byte) { b.got = append(b.got, record[0]) }

// Over the bound of what is heard the newest is dropped and counted, and all that its
// node tells is asked for anew; of a node that was not too much nothing is.
func TestTheQueueIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := New(Config{Node: "a", Queue: 1000})
		if err != nil {
			t.Fatal(err)
		}
		w, b := &bookWire{}, &bookBroker{}
		r.Serve(b)
		r.Join(w)
		r.Connected(true)
		r.Nodes([]Node{{"a", 1}, {"b", 1}, {"c", 1}})
		r.Hear("c", append([]byte{wordMessage, 100}, make([]byte, 198)...))
		for i := range byte(10) {
			r.Hear("b", append([]byte{wordMessage, i}, make([]byte, 198)...))
		}
		if s := r.Stats(); s.Dropped != 6 {
			t.Errorf("%d are dropped, want 6: four of 200 bytes fit behind another", s.Dropped)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.Run(ctx) }() // joined below
		synctest.Wait()
		if want := []byte{100, 0, 1, 2, 3}; !bytes.Equal(b.got, want) {
			t.Errorf("the broker got %v, want %v", b.got, want)
		}
		asked := map[string]int{}
		for _, x := range w.sent {
			asked[x]++
		}
		// Each is compared with as it is met, and b once more.
		if again, sums := fmt.Sprint("b", wordAgain), fmt.Sprint("b", wordSums); asked[again] != 1 || asked[fmt.Sprint("c", wordAgain)] != 0 || asked[sums] != asked[fmt.Sprint("c", wordSums)]+1 {
			t.Errorf("asked were %v", asked)
		}
		r.Hear("b", []byte{wordMessage, 11})
		synctest.Wait()
		if s := r.Stats(); s.Dropped != 6 || b.got[len(b.got)-1] != 11 {
			t.Errorf("when there is room again %d are dropped, and the last is %d", s.Dropped, b.got[len(b.got)-1])
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// While the wire is down messages of QoS 1 and 2 are handed to it within a bound, those
// of QoS 0 and notes are not, and what is retained is made good; each is counted where
// it is lost.
func TestWhileTheWireIsDown(t *testing.T) {
	r, err := New(Config{Node: "a", Waiting: 1000})
	if err != nil {
		t.Fatal(err)
	}
	w := &bookWire{}
	r.Serve(&bookBroker{})
	r.Join(w)
	r.live([]Node{{"a", 1}, {"b", 1}})
	for outage := range uint64(2) {
		r.Connected(false)
		w.sent = nil
		for range 8 {
			r.Send("b", make([]byte, 199), 1, false)
			r.Send("b", make([]byte, 199), 0, false)
		}
		r.Send("b", make([]byte, 199), 2, false)
		r.Send("b", make([]byte, 199), 0, true)
		r.Say("topic", []byte("note"))
		s, n := r.Stats(), outage+1
		if len(w.sent) != 5 || s.Sent != 5*n+outage || s.Lost != 4*n+outage || s.Discarded != 8*n || s.Deferred != n || s.NotesLost != n {
			t.Errorf("outage %d: the wire has %d, counted are %+v", outage, len(w.sent), s)
		}
		r.Connected(true)
		r.Send("b", make([]byte, 199), 0, false)
		w.cut = true
		r.Send("b", make([]byte, 199), 1, false)
		w.cut = false
		if s := r.Stats(); s.Sent != 6*n || s.Lost != 5*n {
			t.Errorf("after outage %d: %+v", outage, s)
		}
	}
}
