// Package reign decides which of several hub nodes arbitrates an area
// (COORDINATION.md §5, §8.1).
//
// # Concepts
//
// The nodes share a ledger, a [Store], with one entry for each area: the arbiter's
// records, and a [Head] that says whose the area is. A reign is the time in which
// one process has an area. Everything that its arbiter writes, each grant too, is a
// compare-and-set on the head, and so is each renewal: who finds another head than
// the one that he wrote has lost the area and stops at once.
//
// No clock but the node's own is believed, and nobody else's word on time. A reign
// ends, for its owner, a time to live after the newest write that was acknowledged
// was sent, less a margin; no lease that it grants ends later. Another node takes the
// area once it has itself seen the head unchanged, or missing, for as long, over one
// unbroken connection; whatever changes, and each new connection, begins the wait
// anew. So also after a flush, and after a replica that knew less has become the
// server, no lease of an earlier owner is alive when a new reign begins. One wait is
// spared: that for an owner who gave the area up in order, before the eyes of who
// takes it.
//
// [seat] is those rules, as a pure state machine. [Keeper] is the goroutine around
// it, and [Memory] the ledger of nodes in one process; package bridge/redis has that
// of a Redis-compatible server. Both pass the contract in reigntest.
//
// # Goroutines
//
// [Keeper.Run] is the only one. It owns the seats and speaks to the store, one call
// at a time.
//
// # Queues
//
// Of what waits to be written there is one entry for each area, the newest; all who
// wait for it are told.
//
// # What it does not do
//
// It does not arbitrate and knows nothing of devices: see package arbiter. It does
// not spread areas over nodes evenly: the first node that may take one has it.
//
// Two servers that both believe to be the one, each with nodes of its own, are two
// ledgers: what the server promises of its replicas is not made better here.
package reign
