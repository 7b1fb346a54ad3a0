//go:build !race

package simulation

import "testing"

// simHandOvers is how many hand-overs the simulation runs to by itself; make test
// has it run ten times as many.
const simHandOvers = 40_000

// The mutants would show the race detector nothing that TestSimulation does not.

func TestMutantsAreCaught(t *testing.T) {
	for name, m := range mutants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= 400; seed++ {
				w := newWorld(seed, m.model, m.bug, simPerSeed)
				w.once = true
				if r := w.run(); r.bad() > 0 {
					t.Logf("%s: seed %d: %s", name, seed, r.first)
					return
				}
			}
			t.Errorf("%s: 400 seeds did not notice", name)
		})
	}
}
