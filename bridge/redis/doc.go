// Package redis joins the nodes of a hub over a Redis-compatible server: Redis,
// Valkey or Garnet. It uses only commands that all three have, and no scripts.
//
// # Concepts
//
// A [Server] is the connection: it is made lazily, comes back by itself, and says
// whether it stands. A [Plane] on it implements backplane.Plane.
//
// The server may be one, a cluster, or one that sentinels name ([Config.URL]). Its
// replicas follow it some time after, so one that takes its place may know less: what
// is then missing in the numbers is told, and an area that is recorded otherwise than
// its node wrote it waits out its reign.
//
// Every channel of the plane (a partition, a node's inbox) is a pub/sub channel and,
// beside it, a bounded list of the same batches: who missed some reads them
// there. In a cluster the channels are sharded ones, each with a hash tag of its own.
//
// [Reigns] on it is the ledger of the areas: which node has which, and what its
// arbiter has written (package reign). It has a connection of its own, since that it
// was never broken is part of what a node knows.
//
// [Tables] on it is the common copy of the tables that all nodes have (package
// shared): hashes, and a bounded list of the changes, each of which comes into it in
// the transaction that makes it. A word on a channel says that there are some; who
// has missed it finds them in the list a second later.
//
// [Log] on it numbers the events of groups and keeps them for a day (it is a
// signalr.Log): a list for each group, and the number of its last event, which grow in
// one transaction.
//
// [Records] on it is what the nodes have in common of the record of what sounded (package
// proof): texts and files of each node.
//
// # Queues
//
// What is published waits in a queue of at most [Config.Queue] bytes. One goroutine
// takes all that is there, joins what goes over one channel, and sends it as one
// pipeline: no timer delays anything. What the server does not take is kept within the
// same bound and sent when it does; over the bound the newest is refused with
// backplane.ErrFull and counted, and the receivers are told of a gap. Where one server
// of a cluster is away, what goes to the others goes on.
//
// What is received waits in a queue of the same bound; over it batches are dropped,
// which the numbers in them show: they are then read from the list, like all that
// a lost connection has swallowed, or told as missed.
//
// # What it does not do
//
// It does not believe the server's clock. A key's own expiry only tidies up.
package redis
