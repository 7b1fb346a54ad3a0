//go:build !race

package arbiter

import "testing"

// The mutants take minutes under the race detector, and would show it nothing
// that TestSimulation does not.

func TestMutantsAreCaught(t *testing.T) {
	for name, m := range simMutants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= 40; seed++ {
				s := newSim(seed, simPerSeed, m.rule, m.bug)
				s.once = true
				if r := s.run(); r.bad() > 0 {
					t.Logf("%s: seed %d: %s", name, seed, r.firstBad)
					return
				}
			}
			t.Errorf("%s: 40 seeds did not notice", name)
		})
	}
}
