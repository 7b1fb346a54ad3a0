//go:build !race

package arbiter

import "testing"

// mutantSeeds is within how many seeds the simulation has to notice a broken rule. The
// rarest is noticed in some 3 of 100, as other rules hide it: which ones changes with
// the code.
const mutantSeeds = 200

func TestMutantsOfNodesAreCaught(t *testing.T) {
	for name, bug := range nodeMutants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= mutantSeeds; seed++ {
				w := newNodeWorld(seed, bug, nodesPerSeed)
				w.once = true
				if r := w.run(); r.bad() > 0 {
					t.Logf("%s: seed %d: %s", name, seed, r.first)
					return
				}
			}
			t.Errorf("%s: %d seeds did not notice", name, mutantSeeds)
		})
	}
}
