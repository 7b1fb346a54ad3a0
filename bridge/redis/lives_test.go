package redis

import (
	"slices"
	"testing"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/backplane/backplanetest"
)

// TestHistoryOfTwoLives: the history of a channel has what a node has sent in a life
// before; whoever has heard that, and reads it again for what came while its subscription
// was cut, hears nothing twice, and misses nothing.
func TestHistoryOfTwoLives(t *testing.T) {
	e := startEngine(t)
	a, b := e.join("a"), e.join("b")
	heard := backplanetest.NewEar()
	b.h = heard
	ch := channel{1, ""}
	x := newEar(t.Context(), b)
	if !x.begin(ch) {
		t.Fatal("the history cannot be read")
	}
	s := newSender(a)
	post := func(life, first uint64, body string) letter {
		t.Helper()
		l := letter{to: ch, keep: true, b: string(backplane.AppendBatch(nil, &backplane.Batch{
			Origin: "a", Life: life, First: first, List: []backplane.Envelope{{Body: []byte(body)}}}))}
		if !s.post(t.Context(), []letter{l})[0] {
			t.Fatal("the server does not take it")
		}
		return l
	}
	x.live(ch, post(1, 1, "one").b)
	x.live(ch, post(1, 2, "two").b)
	x.live(ch, post(2, 1, "three").b)
	post(2, 2, "four") // while the subscription is cut
	if !x.stood(ch) {
		t.Fatal("the history cannot be read")
	}
	post(3, 1, "five") // the next life begins unheard, and goes on
	x.live(ch, post(3, 2, "six").b)
	if got, want := heard.Bodies(t, 0), []string{"one", "two", "three", "four", "five", "six"}; !slices.Equal(got, want) {
		t.Errorf("heard %q, want %q", got, want)
	}
	if st := b.Stats(); st.Missed != 0 || st.CaughtUp != 3 {
		t.Errorf("stats %+v", st)
	}
}
