// Package relay carries MQTT messages between the brokers of a hub's nodes: to those
// alone where somebody subscribes, and never back.
//
// # Concepts
//
// A [Relay] stands between one broker and a [Wire] to the other nodes. What comes in
// at a node, from a client, a will or the hub itself, goes to its own subscribers
// first and then, once, to each node that [Relay.Route] names. What came over the
// wire is given to the broker ([Broker.Receive]) and goes no further.
//
// Each node tells the others facts of itself ([facts]): the filters that its clients
// and its hub's parts have, how many members a shared subscription has, which notes
// they want, and which client ids are there. They are numbered; who finds a number
// missing asks for all of them. A node that has told nothing yet is taken to want
// everything.
//
// The topics by which areas are arbitrated are not carried ([Carries]): a node that
// does not have an area hands them to the one that has (package arbiter).
//
// # Order and loss
//
// What one node sends to another stays in order. The wire delivers at most once and
// tells of gaps: a message of any QoS that is lost between two nodes is lost for the
// subscribers of the other alone, and counted ([Stats].Missed, [Stats].Lost). While
// the wire is down messages of QoS 0 are dropped, and others wait within
// [Config].Waiting; both are counted where they are dropped. A publisher's
// acknowledgement says what its own node has done, not the others.
//
// # What is retained
//
// Every node has all of it: a retained message goes to every node, and the newest
// counts, by the clock of the node where it was published, which is never behind what
// it has seen. Deletions are messages too, and are remembered (marks of package
// broker). Where something may have been lost nodes compare, see kept.go: so they
// have the same again shortly after the wire is back, and who subscribes gets what he
// has missed.
//
// # Sessions
//
// Each node tells which client ids have their session there, and since when
// (clients.go). A connection whose client has it elsewhere has it handed over by that
// node's broker, which answers questions ([Broker.Answer]); where two nodes have one
// of the same client, the newer stays.
//
// # Notes
//
// What parts of the hub have to say to those of other nodes beside MQTT goes with the
// messages to the nodes alone that want it (notes.go), which is one more fact. Who has
// said what he wants can wait until the others know that ([Relay.Await]).
//
// # Queues
//
// What is heard waits in one queue of [Config].Queue bytes. Over it the newest is
// dropped and counted ([Stats].Dropped), and all that its node tells is asked for anew.
//
// # Goroutines
//
// [Relay.Run] is one goroutine: it hands what was heard to the broker, and tells the
// others what has changed here. It ends with its context.
//
// # What it does not do
//
// It keeps no messages for nodes that are away, and knows nothing of what a message
// says: its form is the broker's ([Broker]).
package relay
