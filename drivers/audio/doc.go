// Package audio plays sound on real hardware, and records it.
//
// # Concepts
//
// Each way to a loudspeaker has the methods of firmware.Player, and gives the
// hardware back between two plays. What was written and is not heard yet is kept
// small, because sound must end when its right does: Tail says how long it can go
// on after all, and whoever plays under a deadline stops that much earlier.
//
// [ALSA] speaks to a card by the kernel's own interface, without alsa-lib or cgo.
// It takes the likeliest card (a USB card or a HAT before the socket of the
// board), finds out what that can do, and converts. The kernel stops a card whose
// owner is gone. A gap is counted ([ALSA.Xruns]) and the play goes on. A play is
// over when the last sample has left the card.
//
// [Aplay] starts the program of alsa-utils for each play, with a pipe of 4 KiB, a
// card buffer of 50 ms, and an order to the kernel to kill it when we die
// (Pdeathsig). It is for what only alsa-lib can open, such as HDMI on a Raspberry
// Pi.
//
// [Capture] records by the kernel's interface, for a microphone's level.
//
// # Goroutines
//
// One per play of Aplay, inside os/exec, which collects what the program
// complains; it ends with the program, and Drain, Drop and Close wait for it.
//
// # What it does not do
//
// No mixing, no volume; Linux only, ALSA with 64 bits only.
package audio
