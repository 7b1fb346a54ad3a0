// Package audio plays sound on real hardware, through the program aplay of
// alsa-utils.
//
// # Concepts
//
// An [Aplay] starts the program with the first sample of a play and ends it
// after the last: nothing occupies the sound card in between. Sound outlives a
// process that writes into a pipe, so everything between us and the card is kept
// small: a pipe of 4 KiB, a card buffer of 50 ms, and a program that the kernel
// kills when we die (Pdeathsig). [Aplay.Tail] is the sum; whoever plays under a
// deadline stops that much earlier.
//
// # Goroutines
//
// One per play, inside os/exec, which collects what the program complains; it
// ends with the program, and Drain, Drop and Close wait for it.
//
// # What it does not do
//
// No mixing, no volume, no choice of card beyond its ALSA name; Linux only.
package audio
