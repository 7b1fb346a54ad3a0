// Package leader is what lets the devices of an area go on without their hub: who
// of them is alive, which of them leads, and where each of them turns to.
//
// # Concepts
//
// The roster (area.Peers) is the document in which the hub says who the members of
// an area are; it has the key that they share. A [Seat] is one device's place among
// them. It keeps the newest roster on the disk, takes part in the membership, lets
// package election decide, and does what that says: it aims the device's connection
// ([Uplink]) at the hub, at the hub through a neighbour, or at the leader, and runs
// a [Host] while the device leads itself.
//
// The membership is memberlist's, encrypted with the key of the area, tuned to miss
// a dead member within 3 s. Members that are
// missing are called every 2 s to 3 s, since the library forgets them. Their
// addresses come from the roster, from what they had when they were last seen, and
// from multicast DNS, where only an answer counts that the key of the area has
// signed. Who is not on the roster, by name and index, is not seen.
//
// A member that reaches the hub carries TCP connections to it for those that do
// not. Both sides show that they have the key; what is carried they do not touch,
// so that mqtts:// stays between the device and the hub. Hubs behind ws:// and
// wss:// cannot be carried to.
//
// The uplink is lost when for 5 s no MQTT connection to the hub stood and none could
// be made by TCP. A hub that hangs but whose machine takes connections is not lost.
//
// The highest term that was heard of is on the disk before anybody leads.
//
// A new key, by a newer roster, is heard at once, spoken after 5 s, and the old one
// heard for a minute more. Members behind a leader get the roster over the
// membership, and so under the old key: who had that key and listens on the network
// while it is changed learns the new one.
//
// # Goroutines
//
// [Seat.Run] is the owner of all state. It starts, and awaits, one goroutine each
// for the reign, for a dial to the hub, for a round of calls to missing members, for
// a roster passed on, for what is announced and looked for on the network, and for
// the relay, which has three for each connection that it carries. The membership has
// those of its library, which end with it.
//
// # Queues
//
// What comes from elsewhere waits in an inbox of 256; more is dropped and counted
// (Dropped), since it comes again: the library's news are looked up where they are,
// rosters and answers are repeated. The relay carries 112 connections, four of each
// member; more are refused and counted (CarriedFull).
//
// # What it does not do
//
// It does not arbitrate, and has no broker: that is the host's. It takes no votes:
// in a strict area the leader's arbiter does. Members trust each other: whoever has
// the key of the area and a name on the roster can lead it.
package leader
