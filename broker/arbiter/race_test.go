//go:build race

package arbiter

// simHandOvers is how many hand-overs the simulation runs to; the race detector
// is slow, and the core has no goroutine.
const simHandOvers = 10_000
