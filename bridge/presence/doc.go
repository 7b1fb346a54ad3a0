// Package presence knows who is connected to a hub of several nodes, and at which.
//
// # Concepts
//
// A [Directory] tells the other nodes of each change of its own connections, and keeps
// what they tell of theirs, so that asking is looking it up. What is told of a
// connection is all that is shown of it ([Conn]): the newest word counts, and several
// changes in a short while are one.
//
// Words are numbered by their node. Where a number is missing (a gap of the backplane, a
// full queue, a server that was away) the node is asked for everything it has, in pieces.
// Each second a node says its number although nothing has changed: so what was lost last
// is noticed, too, and all nodes have one list within about a second after they reach
// each other again. A node that the backplane lists no more takes its connections with it.
//
// # Goroutines
//
// Run's own takes what is heard and tells of changes; one for each node that is being
// asked. All end with Run.
//
// # Queues
//
// Words of others that wait: [Config.Inbox]; more are dropped and counted
// ([Stats.Dropped]), which the numbers show. Own connections that have changed wait as a
// set of their ids.
package presence
