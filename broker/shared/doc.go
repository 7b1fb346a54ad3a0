// Package shared keeps the tables that all nodes of a hub have: who may come in,
// areas, mappings, schedules and the like.
//
// # Concepts
//
// Every node has the whole of each [Table] in its own store, and works with that
// alone: a change is durable when it is on the node's own disk. From there it goes
// to what the nodes have in common, a [Common] (package bridge/redis has that of a
// Redis-compatible server), at once or as soon as that can be reached, and from
// there to the other nodes, whose owners of the table hear of it ([Table.Watch]).
// Nothing is asked of the common copy that the nodes could not make again: one that
// was emptied, or set back, is filled by every node from its own.
//
// A change has a [Stamp]: the time of a clock that never goes back, and the node. Of
// two changes of one key the newer is the one that stays, on all nodes the same. The
// clock is the node's, in milliseconds, but ahead of every stamp that the node has
// seen, before the last start too. A key that is deleted leaves a stamp for seven
// days, so that a node that was away does not bring it back; a node that was away
// for longer, and finds the common copy that it knew, deletes what is no longer in
// there and was not changed here since.
//
// What must be done by one node alone, such as the use of a code that is good once,
// is done by [Table.PutIf]: a compare-and-set at the common copy, which needs that.
//
// The stamps are in a table of their own beside those that they are for, and go to
// disk with them in one transaction. So the file of a node that joins others is that
// of one alone, and back. What a hub without a Common has changed counts, when it has
// one again, as changed then; what it had before it ever had one is older than
// anything.
//
// A store that was made of a backup has the stamps of then, and is brought up to date
// like that of a node that was away; or it says that what it has is to win ([Restored]).
//
// Without a Common a table is the store's, and costs no more.
//
// # Queues
//
// Of what is owed to the common copy, and of what watchers have to be told, each key
// waits once, with its newest value: neither is longer than the tables are.
//
// # Goroutines
//
// [Tables.Run] starts and awaits three: one follows the common copy, one brings what
// is owed to it, one calls the watchers.
//
// # What it does not do
//
// It keeps no history, and joins no two changes of one key into one: an owner puts
// into one record what has to be changed together. It does not say when another node
// has heard of a change.
package shared
