package relay

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
)

// A telling of which a part was lost does not count, neither one of all facts, whether
// its end comes before that is noticed or behind, nor one of what has changed.
func TestPartOfATellingIsLost(t *testing.T) {
	f := newFacts()
	for i := range 5000 {
		f.set(key(aboutFilter, fmt.Sprintf("%0200d", i)), "")
	}
	list := f.list()
	parts, wanted := tellings(0, 2, list), list[2500].key[1:]
	if len(parts) < 4 {
		t.Fatalf("%d parts", len(parts))
	}
	all := func(w *bookWire) (n int) {
		for _, x := range w.sent {
			if x == fmt.Sprint("b", wordAgain) {
				n++
			}
		}
		return n
	}
	for name, tell := range map[string][]telling{"all": parts, "changes": tellings(1, 2, list)} {
		w := &bookWire{}
		t.Run(name, func(t *testing.T) {
			besideB(t, &bookBroker{}, w, func(t *testing.T, ctx context.Context, r *Relay) {
				hear := func(list ...telling) {
					for _, one := range list {
						r.Hear("b", one.append([]byte{wordFacts}))
					}
					synctest.Wait()
				}
				wants := func() bool { return len(r.Route(wanted).Nodes) == 1 }
				if name == "changes" {
					hear(telling{to: 1, first: true, last: true})
				}
				r.Missed("b", 1) // it is asked for all
				hear(tell[0])
				before := all(w)
				r.Missed("b", 1) // those between
				hear(tell[len(tell)-1])
				if name == "all" && !wants() {
					t.Errorf("half of what was told counts")
				}
				if n := all(w) - before; n != 1 {
					t.Errorf("b is asked %d times for all, want once more", n)
				}
				hear(parts...)
				if !wants() {
					t.Errorf("what was told is not known, behind one of which a part was lost")
				}
				if s := r.Stats(); s.Untold != 0 {
					t.Errorf("of %d nodes it is not known what they want", s.Untold)
				}
			})
		})
	}
}
