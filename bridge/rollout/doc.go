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
