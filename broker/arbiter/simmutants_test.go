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

// TestWorldsOfTheMutants: the worlds in which some of them show are harder than
// the usual one, and nothing is wrong in them as long as no rule is broken.
func TestWorldsOfTheMutants(t *testing.T) {
	for name, world := range map[string]simBug{"leases": {leases: true}, "clones": {clones: true}, "disk": {disk: true}, "finish": {finish: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= 5; seed++ {
				if r := newSim(seed, simPerSeed, mutant{}, world).run(); r.bad() > 0 {
					t.Errorf("seed %d: %s", seed, r.firstBad)
				}
			}
		})
	}
}
