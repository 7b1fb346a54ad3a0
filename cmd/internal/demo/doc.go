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
// A cluster is the same site on several nodes ([RunCluster]): redis-server, several of
// tacet serve and nginx are other processes (child.go), which are started again when
// they die and end in their order; the devices stay in this one. The gates come in by
// the balancer, the stands and the sensors know every node.
//
// # Goroutines
//
// Run starts one for each gate, each agent and the sensors, and one for the
// hub; it ends them all with its context and waits for them. A cluster has one more
// for each process beside it.
//
// # What it does not do
//
// It links no driver of real hardware; with sound, it pipes to aplay.
package demo
