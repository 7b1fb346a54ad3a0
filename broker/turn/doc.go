// Package turn is the device's half of the protocol by which one device of an
// area sounds at a time (COORDINATION.md §3.3, sharpened by §8): a pure state
// machine that turns what happened into what to do. The agent on a device, the
// hub on behalf of its classic connections, and the arbiter's simulation all
// run this one; the code that ships is the code that is simulated.
//
// # Concepts
//
// A [Turn] has at most one wish at a time; a queue of orders is its caller's.
// It goes from [Idle] by a [Wish] to [Waiting], by a grant to [Playing], by the
// end of the sound to [Done], and back to [Idle] when the arbiter has heard of
// the end. Everything is level-triggered: what the device wants is said again
// every refresh (a quarter of the lease) with a growing seq, so that loss,
// duplicates and reordering need no code of their own.
//
// The lease counts from when the device SENT the message that the grant
// acknowledges, on the device's own clock, less the drift of the clock (0.5 %)
// and the time in which sound that was handed over still sounds. So it ends
// before the arbiter's, whatever the network did. [Turn.Deadline] is the fence:
// who writes sound asks it before every chunk.
//
// A device says hello first, and after each new connection; it wants nothing
// before its first hello was answered. A device whose standing is lost (a newer
// start of it was heard: stale; another machine has its name: replaced) sounds
// at most to its deadline, and then says hello again.
//
// In a strict area the device also votes, by a [Ballot] of its own: whether it
// wants the area or not, for one arbiter at a time.
//
// # How to drive it
//
// Call [Turn.Step] for each event and do the actions in their order; call it
// with [Tick] at [Turn.Next]. After a [Start] the caller plays; when nothing
// sounds any more, for whatever reason, a [Stop] included, it says [Over]. Where
// it does not after a Stop, the end is reported once the stop latency has passed
// after the time by which the sound had to be over.
//
// # What it does not do
//
// No I/O, no clock, no goroutine, no randomness: the caller brings the instant
// and the nonces. A Turn is not safe for concurrent use.
package turn
