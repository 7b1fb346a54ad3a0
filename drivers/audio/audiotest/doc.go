// Package audiotest measures sound in tests: it starts a PulseAudio server with a
// sink that nobody hears, records what comes out of it, and finds tones and gaps
// in recordings.
//
// # Goroutines
//
// One per recording and per server, which reads what a program says; it ends with
// the program, which the end of the test kills.
//
// # What it does not do
//
// It touches no loudspeaker, and no server but its own.
package audiotest
