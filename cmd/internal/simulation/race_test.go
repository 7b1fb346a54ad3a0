//go:build race

package simulation

// simHandOvers is how many hand-overs the simulation runs to; the race detector is
// slow, and nothing here has a goroutine.
const simHandOvers = 4_000
