package signalr

import (
	"log/slog"
	"net/http/httptest"
	"slices"
	"testing"
	"time"
)

// TestLooks is how often is looked for long calls: soon after the first call,
// then more rarely, soon again behind a call that takes long, and never when
// there has been none for a while.
func TestLooks(t *testing.T) {
	s, err := New(Config{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ticket, _ := s.desk.walkIn("")
	c := newConn(s, ticket, Principal{}, httptest.NewRequest("GET", "/hub", nil))
	w := s.watch
	w.start()
	c.pending.Store(byReader) // and nobody reads
	c.in.workers = 1
	if !w.add(c) {
		t.Fatal("nobody looks")
	}
	<-w.wake
	got := []time.Duration{w.look(), w.look()}
	c.tasks.Wait() // the late call was run by somebody else
	if c.busy() {
		t.Error("the call still waits for the reader")
	}
	for len(got) < 100 && got[len(got)-1] > 0 {
		got = append(got, w.look())
	}
	want := []time.Duration{2 * glance, glance, 2 * glance}
	for range patience - 2 {
		want = append(want, rareGlance)
	}
	if want = append(want, 0); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if w.add(c); len(w.wake) != 1 || w.every != glance {
		t.Errorf("after the next call: woken %d times, to look in %v", len(w.wake), w.every)
	}
}
