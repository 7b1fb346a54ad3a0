// Package replay keeps what groups have had lately, so that who comes back is
// sent what it has missed, or is told that some of it is gone.
//
// # Concepts
//
// The events of a group are numbered by the hub library: an epoch, which is the
// life of the group's counting, and an offset. [Memory] keeps those events that
// are wanted, for a time and within bounds; where a bound drops one, who asks for
// it is told of a gap. It is a [signalr.History].
//
// [Common] numbers and keeps the events of groups for several servers: a
// [signalr.Log]. Package bridge/redis has the one for several processes, and
// replaytest the contract of both.
//
// [Marks] knows where each user or device left each group, for those that do not
// count themselves.
//
// # What it does not do
//
// It survives no restart: the epochs do not either, so a position of before
// answers a gap. No goroutine, no clock of its own.
package replay
