// Package area owns the words of Tacet: what an area, a location, a device, a
// work, a claim, a lease and an order are, how they are written on the wire,
// and on which topics they travel. Every other package speaks in these types.
//
// # Concepts
//
// An area is a group of locations whose loudspeakers can be heard together;
// one of its devices sounds at a time. A device asks for the area by a
// [Claim], the arbiter of the area answers by an [Answer], and shows the state
// of the area to everybody as the retained [Busy]. An [Order] is work that was
// accepted; it has exactly one visible end. A [Reading] is a value that a
// sensor gave. [Bus] is how messages travel, whichever broker carries them.
//
// Instants of the control plane are [Instant] (monotonic); orders, which
// people read, use [Time] (wall clock). The two never mix.
//
// # What it does not do
//
// No I/O, no clock, no goroutine, and nothing but the standard library.
package area
