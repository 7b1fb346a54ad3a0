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
// [Pulse] plays through a PulseAudio or PipeWire server, which holds the card on a
// desktop, by the protocol of both. It renders ahead what cannot be taken back:
// that is its tail. Gaps that it tells are counted, and a play is over when what
// was rendered has been heard.
//
// [Output] plays through the first of several ways that works, falls to the next
// where a play cannot begin, and tries again those that do not work. A loudspeaker
// that is missing costs a play, not the device.
//
// [Capture] records by the kernel's interface, for a microphone's level.
//
// # Goroutines
//
// One per play of Aplay, inside os/exec, which collects what the program
// complains; it ends with the program, and Drain, Drop and Close wait for it. One
// per play of Pulse, inside the library, which reads the connection and ends when
// that is closed. [Output.Run] is its caller's.
//
// # What it does not do
//
// No mixing, no volume. ALSA and Aplay are for Linux, ALSA for 64 bits. WAV files
// and silence are package sim's.
package audio
