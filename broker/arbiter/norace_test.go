//go:build !race

package arbiter

// simHandOvers is how many hand-overs the simulation runs to.
const simHandOvers = 1_000_000
