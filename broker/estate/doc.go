// Package estate keeps what the nodes of a hub would leave behind: a second copy of the
// sessions of each node's broker, at what the nodes have in common, from which another
// node takes them over when theirs is down.
//
// # Concepts
//
// A [Mirror] stands between a broker and its store, and looks like that. What the broker
// says has changed (sessions, subscriptions, queued messages, packet ids) goes to disk
// as before, and beside it to a [Common] (package bridge/redis has that of a
// Redis-compatible server). A position is told as durable when it is safe in both: so
// what was acknowledged, and concerns a session that outlives its connection, is there
// for the other nodes. Who has nothing of the kind waits for nothing.
//
// While the common copy cannot be reached, or takes longer than a second, the node goes
// on with its disk alone ([Stats].InStep, [Stats].Alone), and brings the copy up to date
// once it is back. One that was emptied is filled anew.
//
// # Heirs
//
// A node that takes a session over from one that is down writes a [Claim] first: of two
// that want it one gets it, and a node that comes back learns from the claims which of
// its sessions are no longer its own ([Mirror.OnClaims]). A claim is done when the
// session is in the heir's own copy.
//
// # Queues
//
// Of what is owed to the common copy each record waits once, with its newest value. The
// messages in the copy have at most [Config].Bytes; one over that is not in it, and
// counted ([Stats].Over). A message that nobody waits for goes a quarter of a second
// later, and not at all where it is acknowledged meanwhile.
//
// # Goroutines
//
// [Mirror.Run] is one goroutine, which brings the changes to the common copy.
//
// # What it does not do
//
// It does not look into records, and decides nothing about sessions: see package broker.
package estate
