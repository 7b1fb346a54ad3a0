// Package courier has every node of a hub give out the clips that any of them has.
//
// # Concepts
//
// A clip is named by the SHA-256 of its bytes, so it does not matter who brings it.
// A node that is asked for one that it does not have asks the others
// ([Courier.Fetch]), has the first that has it lay the bytes down piece by piece on
// the [Shelf] that all nodes share, and keeps it from then on like any other. Where
// that node falls silent in the middle, the next one goes on with the next piece. A
// clip whose bytes are not those of its name is refused by the store.
//
// What is sent to one node is announced ([Courier.Announce]), and the others bring
// it at once: who has accepted a clip may die. [Courier.Remove] removes it
// everywhere.
//
// # Goroutines
//
// [Courier.Run] brings what is announced, one clip at a time, until its context ends. All
// else runs on its callers' goroutines and on those of the mux.
//
// # Queues
//
// At most [mostNews] announced clips wait to be brought; more are left until they are
// asked for, and [Stats.Left] counts them. On the shelf lies one piece of
// [pieceBytes] for each clip that is being brought, at most [carriers] for each node,
// and none for longer than [shelfTime]. At most [askers] questions who has a clip are
// open; more wait.
//
// # What it does not do
//
// It brings no clip back that a node has dropped to make room, until that is asked
// for. It knows no rights: the caller checks them.
package courier
