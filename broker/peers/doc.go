// Package peers keeps, at the hub, which devices of each area may lead it while
// the hub cannot be reached, and tells them of each other.
//
// # Concepts
//
// A device that says in its status that it can lead is a member of its area's
// roster until it says otherwise, moves to another area or loses its credential.
// Each member has an index of its own, which numbers the terms of its reigns: it
// is given once and kept for ever, also for a device that has left. An area has a
// key, with which its members know each other from strangers; it is made when it
// is first needed, and anew on demand or when a member's credential is withdrawn.
// All of that, with what the area is like, is the roster document ([area.Peers]);
// its revision grows with each change, and each change is sent to all members.
// What a member says and the document that it has are compared, so that one that
// missed a change gets it with its next word.
//
// The topology of an area that is to find it out by itself ("auto") is local
// where two members with different machines told the same network, which is not
// the loopback one: there a leader always exists, and the hub mirrors it.
//
// # Several hub nodes
//
// All nodes have the table of rosters. Who joins and leaves is written by the node
// that has the area ([Areas].Reign), after it has read the newest roster; a new key,
// and the end of a credential, by any. Each write is a compare-and-set for all nodes,
// so that no index is given twice; while what they have in common is away nothing
// changes. The document is kept with the roster, as its writer made it, and each node
// sends that to the members that are connected to it ([Areas].Here).
//
// # Durability
//
// An index, a key and a revision are on disk before anybody is told of them. What
// could not be written is not told, and tried again at the next look.
//
// # Goroutines
//
// [Service.Run] is the only one, and owns the books. What it is told waits in maps
// with one entry for each device, the newest, and for each area that another node has
// changed, and in a queue of 64 calls whose callers wait; nothing is dropped.
//
// # What it does not do
//
// It elects nobody and speaks to no leader: see package arbiter for the trunk.
package peers
