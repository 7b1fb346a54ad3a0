// Package simulation is the area with more than one arbiter: a hub, and members
// that elect a leader of their own (COORDINATION.md §8.2, §8.9, §8.10). It has
// tests alone. They run what ships, the device's turn and its vote, the election
// and the arbiter's core, in one world without real time, I/O or goroutines, whose
// network is cut and healed, whose uplinks come and go and whose processes crash;
// and look for two voices in one part, and for orders of the hub that have two ends
// or none, while they go from the hub to leaders and their ends come back.
//
// What is not pure is modelled here: membership by its measured times, the hub's
// desk and the trunk by what they promise (see hub_test.go). One arbiter with more
// hostile networks, dumb and classic devices and clones is simulated in package
// arbiter.
package simulation
