// Package seen keeps when users and devices were last there, for all nodes of a hub and
// for 30 days.
//
// # Concepts
//
// A [Book] has one [Sighting] for each user and each device: when, and at which node. What
// this node sees itself ([Book.Saw], and whom [Config].Here lists every few seconds) it
// knows to the second; on disk, and so at the other nodes and after a crash, that of one
// who is there is at most ten minutes old, and that of one who has gone at most a minute
// behind what is known. The newest of what nodes say of one counts.
//
// A sighting that is 30 days old is forgotten: by the node that it names, and by the others
// a day later, if that node is gone.
//
// # Goroutines
//
// [Book.Run] writes what is due and forgets what is old, until its context ends.
//
// # Queues
//
// At most [Config].Most users and devices are known; more are not kept until others are
// forgotten, and counted ([Stats.Refused]). Each has one record. At most a thousand
// records are written at a time; the rest waits for the next.
//
// # What it does not do
//
// It does not say who is there now: that is presence. Sensors are the registry's.
package seen
