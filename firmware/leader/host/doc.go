// Package host is what a device runs while it leads its area: the broker that the
// others come to, the arbiter of the one area, the orders that are handed in here,
// and its side of the trunk to the hub.
//
// # Concepts
//
// A [Host] is there for as long as its device; [Host.Lead] is one reign. The parts
// are those of a hub, with limits for a Pi: [broker.Broker], [arbiter.Service] with
// terms of this member alone, [order.Service] for what is submitted here. Who may
// come in is in the roster document: everybody where the hub is open; else the
// members, by what they make of the area's key, and whoever has a credential.
//
// The trunk (line.go) is the other half of the hub's mirror. Down come what devices
// of the hub say, and works; up go the area's state, answers and offers to devices
// of the hub, readings, and what became of works. What came over it never goes back
// over it: the loop guard is [area.Passes]. It is in use only once the hub has
// accepted the lead on the connection that stands.
//
// What must reach the hub (outbox.go) is said again each second until it is
// answered: the ends of works, the orders that were taken and ended here, and the
// record of what sounded. It goes on when the reign is over, and after a restart:
// ends are on disk before the arbiter forgets them, and so is what of the record of
// what sounded was not answered yet (keep.go). A work of the hub is on disk
// before the hub is told so. An order that is handed in here is told to the hub at
// once where the hub follows us, with each change and with who has it (submit.go), and
// is in our hands like one of the hub's: whoever leads next has it of the hub. Where
// the hub does not, it is here alone, until it does. Orders of this device that have no
// end when its reign is over are handed to the hub, which goes on with them.
//
// After a restart the works of the hub that had no end are gone on with only where
// nobody else can have led meanwhile: where no higher term was heard. Else the hub
// has given them to whoever led.
//
// # Goroutines
//
//   - [Host.Run] owns the outbox's way to the hub, and the record's file.
//   - [Host.Lead] runs the broker, arbiter, orders, the web listener and the line,
//     and waits for all of them. The line's goroutine owns the state of the trunk.
//
// # Queues
//
// The line's inbox has room for 1,024 messages of bus and trunk; more are dropped
// and counted ([Stats].Dropped): everything on it is said again, or is a state that
// the next one replaces. The outbox keeps one state and one end for each work, and
// the newest 4,096 records of what sounded; older ones are dropped and counted
// ([Stats].Forgotten), and stay in the record on the device's disk.
//
// # What it does not do
//
// It elects nobody and aims nothing: package leader does. It knows nothing of
// SignalR; who assembles the device hands in what serves it ([Parts].Web).
package host
