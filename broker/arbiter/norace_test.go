//go:build !race

package arbiter

// simHandOvers is how many hand-overs the simulation runs to by itself; make
// test has it run ten times as many, make simulate a hundred.
const simHandOvers = 100_000
