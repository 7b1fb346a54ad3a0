// Package demo is the simulated site of tacet demo: an airport with three areas,
// whose gates take turns.
//
// # Concepts
//
// Everything goes over real sockets. Gates 1 to 4 are classic programs that
// speak SignalR (gate.go); the stands of the pier are device agents that speak
// MQTT; the sensors publish in several conventions. The hub is the one of tacet
// serve, with a settling time of zero, which is safe here and nowhere else: its
// broker and its devices are born together in a fresh directory.
//
// # Goroutines
//
// Run starts one for each gate, each agent and the sensors, and one for the
// hub; it ends them all with its context and waits for them.
//
// # What it does not do
//
// It links no driver of real hardware; with sound, it pipes to aplay.
package demo
