package arbiter

import (
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/reign"
)

// TestAlone: when a node goes on by itself, and when it is one of the others again.
func TestAlone(t *testing.T) {
	const life = 10 * time.Second
	away := reign.State{Away: true}
	type at struct {
		now   area.Instant
		do    func(*alone, area.Instant)
		heard area.Instant // who has the area was
		lends bool
		never bool // the area is not set to it
		want  move
	}
	ledger := func(s reign.State, ours bool) func(*alone, area.Instant) {
		return func(a *alone, now area.Instant) { a.ledger(s, ours, life, now) }
	}
	hears := func(a *alone, _ area.Instant) { a.hears() }
	for name, steps := range map[string][]at{
		"an outpost waits for as long as a reign lasts": {
			{now: 100 * sec, do: ledger(away, false)}, {now: 105 * sec, do: ledger(away, false)}, {now: 110*sec - 1}, {now: 110 * sec, want: parts}, {now: 120 * sec},
		},
		"whose own reign has ended does not":                     {{now: 100 * sec, do: ledger(away, true), want: parts}},
		"where it is not set to":                                 {{now: 100 * sec, do: ledger(away, true), never: true}},
		"the ledger answers":                                     {{now: 100 * sec, do: ledger(away, false)}, {now: 109 * sec, do: ledger(reign.State{}, false)}, {now: 130 * sec}},
		"it is away anew":                                        {{now: 100 * sec, do: ledger(away, false)}, {now: 105 * sec, do: ledger(reign.State{}, false)}, {now: 106 * sec, do: ledger(away, false)}, {now: 115 * sec}, {now: 116 * sec, want: parts}},
		"who has the area is heard, and waited for from then on": {{now: 100 * sec, do: ledger(away, false)}, {now: 110 * sec, heard: 109 * sec}, {now: 119*sec - 1, heard: 109 * sec}, {now: 119 * sec, heard: 109 * sec, want: parts}},
		"the ledger is back, and what is lent runs out": {
			{now: 100 * sec, do: ledger(away, true), want: parts}, {now: 110 * sec, do: ledger(reign.State{}, false), lends: true, want: ends}, {now: 111 * sec, lends: true}, {now: 112 * sec, want: returns}, {now: 200 * sec},
		},
		"who has the area is heard, the ledger is not": {
			{now: 100 * sec, do: ledger(away, true), want: parts}, {now: 110 * sec, do: hears, want: ends}, {now: 111 * sec, want: returns}, {now: 121*sec - 1}, {now: 121 * sec, want: parts},
		},
		"the ledger is away again while that runs out": {
			{now: 100 * sec, do: ledger(away, true), want: parts}, {now: 110 * sec, do: ledger(reign.State{}, false), lends: true, want: ends}, {now: 111 * sec, do: ledger(away, false), lends: true},
			{now: 112 * sec, want: returns}, {now: 122*sec - 1}, {now: 122 * sec, want: parts},
		},
		"it is not set to any more": {{now: 100 * sec, do: ledger(away, true), want: parts}, {now: 101 * sec, never: true, want: ends}, {now: 102 * sec, never: true, want: returns}, {now: 120 * sec, never: true}},
	} {
		var a alone
		for i, s := range steps {
			if s.do != nil {
				s.do(&a, s.now)
			}
			if got := a.next(!s.never, s.lends, s.heard, life, s.now); got != s.want {
				t.Errorf("%s: step %d at %v: got %d, want %d", name, i+1, time.Duration(s.now), got, s.want)
			}
		}
	}
}
