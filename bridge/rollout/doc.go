// Package rollout brings devices to another version of their program, one at a
// time in each area.
//
// # Concepts
//
// A [Rollout] is for a device, an area or all devices; what it is for is settled
// when it is made. In each area one device at a time is ordered to update, also
// where several rollouts have devices there; the next one follows when that one
// has confirmed that it is well, or has refused and so runs what it ran. Where
// one has failed nobody else is ordered: the rollout has failed, and the devices
// that waited are skipped. Areas go on beside each other.
//
// What a device does is read from its retained status. A device that is not there
// when its turn comes, or whose program takes no updates, is skipped; one that gives no sign of life for too long
// counts as failed.
//
// A rollout is on disk before it is answered for, and goes on after a restart of
// the hub.
//
// # Several nodes
//
// The nodes of a hub have one list, and one of them orders devices, wherever those are
// connected: it takes every rollout that has not ended, and only while it has them all
// it orders anybody. Each change is a compare-and-set of the record that all nodes have,
// so who has taken a rollout knows what was ordered, and who had it can change nothing.
// While the nodes cannot be reached rollouts stand still: nobody is ordered, and nobody
// has failed. Who takes over, or has started, gives each device its time anew, and those
// whose turn it is a minute to come, since they may have been connected to a node that
// is gone.
//
// # Goroutines
//
// [Service.Run] is one; it alone orders devices. The subscription only notes what
// a device said last, which bounds it to one status a device.
//
// # What it does not do
//
// It knows nothing of programs and signatures: the device looks at those. It does
// not look for new versions: an operator makes rollouts.
package rollout
