// Package order is the one way into orders: REST, the hub, MQTT submit and the
// scheduler all hand their wishes in here, and read here what became of them.
//
// # Concepts
//
// A request is read by [Decode], checked by [Check] and made whole with its
// defaults (DESIGN.md §3.6, Order). It is stored in the [Store] before it is
// handed to the [Dispatcher], so nothing that was answered with an id is lost.
// From then on the dispatcher decides: each [area.Report] moves the order, until
// one of the four ends. An ended order never changes; later reports are counted
// and ignored.
//
// The time to live counts from created_at, or from not_before where that is
// later: an order for tomorrow noon with the default of five minutes may start
// until five past noon. Until not_before it waits here, in state waiting, and
// the dispatcher does not know of it.
//
// An order that is handed over is ended by the dispatcher alone, with two
// exceptions that keep the promise of one visible end if it falls silent: one
// that is still unassigned [Config.Grace] after its expiry ends here (failed,
// no_device, if no player of its target was present in its whole life, else
// expired), and one that is assigned ends 24 h after its expiry (failed,
// lost_contact).
//
// An estimated start is the remaining time of what sounds plus the lengths of
// everything that goes before, 500 ms added for each; it is null where no
// player that could do the work is present. It is computed when an order is
// read, and shown anew, and told to watchers, when it has moved by two seconds.
//
// # Several nodes
//
// With [Config.Nodes] the orders of several hub nodes are one list. Each has its
// node, which alone hands it over, moves it and writes it; everybody else shows it as
// that node has written it last. [Service.Inherit] takes over what a node that is
// gone has left: who calls it decides that it is gone. Of two nodes that both go on
// with an order, since they could not hear of each other, the one with the newer
// record has it as soon as they can; the dispatcher never does a work twice, so that
// both have heard of the same end, or the earlier counts. Idempotency keys are those of
// all nodes: a request that another node is answering is waited for 10 s at most, and
// one that was never answered is taken over after 30 s, with the id that its order
// would have had. While the nodes cannot reach each other a key is the node's own
// ([Stats.KeysAlone]). [Stats] counts this node's orders alone.
//
// # Goroutines
//
// [Service.Run] is the only one: it applies reports, hands over what came due,
// writes changes to the store and tells the watchers, in this order. It ends
// with its context, after a last write. Everything else runs on the caller's
// goroutine and waits for the store and the dispatcher at most.
//
// # Bounds
//
// At most [Config.MaxLive] orders have no end yet: more are refused with rate.
// Reports wait in their order's own inbox of 16: beyond that the oldest goes
// that is neither a start nor an end. The changes that watchers have not seen
// coalesce per order. Orders of a leader that wait to be adopted are at most 256;
// one more is refused, and comes again. Idempotency keys: the oldest goes ([Stats.KeysDropped]).
// Ended orders: see [Memory].
//
// # What it does not do
//
// It does not decide who plays and when, keeps no clips, makes no sound, and
// knows no rights: the caller checks them. Quiet hours are not applied.
package order
