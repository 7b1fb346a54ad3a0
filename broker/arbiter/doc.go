// Package arbiter decides who may sound in an area, and who does which work
// (COORDINATION.md §3.4, §3.5, §8).
//
// # Concepts
//
// [Core] is the state of one area: a pure state machine, fed with [Event]s and
// answering [Action]s. It settles first (it grants nothing, since a lease of an
// earlier arbiter may still be alive), then holds the area for one device at a
// time. A grant is a lease that ends by itself; a lost connection ends nothing.
// A device that knows only the classic calls, or only MQTT's 1 and 0, cannot
// follow a lease: its hold is written down before it counts, and a new arbiter
// starts with it.
//
// What must outlive the process is one small record per area. Step never waits
// for it: it emits [Commit], and what depends on it is emitted when
// [Committed] comes back. In between a grant stands as proposed. A record that
// could not be written stops new grants until one could.
//
// Under the policy finish a lease of a sound whose length is known lasts to its
// end, so that the loss of the hub does not cut it. In a strict area the core asks
// the members for votes ([Poll], [Voted]) and grants only while a majority stands
// by it; no lease ends after the weakest vote of that majority. An area may have
// other arbiters beside this one, a hub and leaders of its own: each has terms of
// its own, settles when it begins or hears of another, and hands over what has no
// lease ([Core.Yield], [Inherit]).
//
// The dispatcher is part of the same state: a work is offered to devices, the
// first take wins, and it ends exactly once. A work's end is kept in the record
// until the order service says ([Stored]) that it has it.
//
// # Areas that one of their own devices leads
//
// In a local area one of the devices arbitrates, by the same core. The hub then
// mirrors it: the desk's mirror, another pure state machine, stands before the
// core and decides whose the area is. A lead with a term above all that was heard
// takes it: the core yields ([Core.Yield]), and the leader inherits ([Inherit])
// what sounds without a lease, how long a lease may still live, and the works with
// their assignments. While the leader speaks, what devices of the hub say goes
// down to it, and its answers and its public state come up; while it is silent
// nothing is granted. After 30 s, or the longest lease that may be alive, the hub
// takes the area back, which is a split. Works that were handed over stay in the
// leader's hands until somebody tells of their end; each ends once.
//
// What the mirror has to remember (who leads, the highest term, holds, whose hands
// the works are in) is a second small record, written before a work is sent.
//
// # Several hub nodes
//
// Nodes that share a ledger of areas (package reign) are one arbiter: at one time one
// of them has an area, the others are outposts of it. The owner's core is bounded by
// its reign ([Reign]): no lease ends after it, and each grant is in the ledger before
// it is told. An outpost, again a pure state machine, hands what its devices say to
// the owner, by the words of the trunk, and publishes what the owner's arbiter says:
// the messages that the owner publishes itself, a state and the grant that it tells of
// together. A leader of a local area speaks to the owner's mirror in the same way,
// through whichever node it is connected to; of who leads every node keeps a copy.
// What devices of a leader say the owner publishes, and the brokers carry it on.
//
// A work stays with the node that accepted it, whose order service has it durably,
// until that has its end. It is handed to whoever has the area, with what is known of
// it, and again until he says that he has it; what becomes of it goes back to that
// node alone. Who is live where every node says to all others, so that the owner's
// dispatcher, and every list of devices, knows all.
//
// A device may say that it has played a work to an arbiter that does not know it, since
// the node that accepted it is down or the ledger has forgotten it. That is written down,
// at most 128 works of an area, the oldest goes, and told to each owner that follows; the
// work has its end once it is handed in. A work that was handed to an earlier reign is
// not taken: it may have had its end since.
//
// Words between nodes may be lost: devices say everything again; an outpost says
// twice a second what it shows, and is sent the state where that is another; works and
// their ends are repeated. An outpost that hears nothing for 2 s tells who wants the
// area to wait.
//
// Where all nodes hear one broker that is somebody else's ([Nodes].Speaks), the owner
// hears what devices say there himself, and alone publishes what is the area's: an outpost
// hands on what it was told beside the broker, and the works. While nobody has the area,
// one of the nodes tells devices to wait. See service_shared.go.
//
// Where an area is set to go on per node, a node that reaches neither the ledger nor the
// owner for as long as a reign may last arbitrates for its own devices, by a core of
// its own, until it is one of the others again: see alone, a pure state machine as
// well.
//
// # Order of actions
//
// Actions are to be done in their order. A change of the public state
// ([ShowBusy]) comes before the grant that it tells of.
//
// # What the core does not do
//
// No I/O, no clock, no goroutine, no randomness. It does not know wall time:
// the expiry of a work is handed in as an instant.
package arbiter
