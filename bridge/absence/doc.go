// Package absence keeps what connections that were lost have left, the groups that they
// were in and where they stood there, for who comes back: it goes to one new connection
// of the same user or device, once.
//
// # Concepts
//
// An owner is a user or a device, by a name that is the hub's business. Of each the [Book]
// has a record with what his lost connections have left ([Left]) and has not been taken,
// and with which of them has been, so that a connection of which two nodes notice that it
// is lost leaves one thing. The record is in a table that all nodes have; it changes by
// compare-and-set alone, so that of two connections that come back at once, at different
// nodes, each takes another's.
//
// While the nodes' common copy is away each node goes on with what connections of its own
// have left, and leaves the others' alone.
//
// # Bounds
//
// What is left is kept for a day, of each owner that of the eight connections that were lost
// last, each with at most 256 groups; of more owners than 20,000 nothing is kept. What does
// not fit is counted.
//
// # Goroutines
//
// Run's own forgets, once in an hour, what is too old. It ends with its context.
//
// # What it does not do
//
// It does not know who is there, and joins no group.
package absence
