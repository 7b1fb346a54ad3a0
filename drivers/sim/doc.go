// Package sim is the simulated hardware of a device: a loudspeaker that keeps
// real time and writes down what it sounded, a relay, a lamp and a button.
//
// # Concepts
//
// [Audio] takes sound as a sound card does: what is written is heard one after
// the other in real time, at most a buffer ahead of the clock. It can record to
// a WAV file whose sample position is the time since it was opened (silence
// between two plays included), so that the recordings of several devices can be
// laid over one another to see whether two ever sounded at once. Beside the WAV
// file stands FILE.jsonl: one line when it was opened, then one at each start
// and end of a play, with the position of its first sample and of the one after
// its last.
//
// The files are valid after every chunk, so also after the process was killed.
// Opening begins them anew; what the run before has sounded is kept as FILE.1 and
// FILE.1.jsonl, that of the run before it is lost. A run without sound takes no
// such place.
// Samples that were written but had not yet sounded when [Audio.Drop] was called
// are cut off again, as a sound card forgets them.
//
// [Board] has the switches and the button of a device.
//
// # Goroutines
//
// None of its own. [Audio.Write] and [Audio.Drain] block by a timer; a clock is
// given by [Config], and inside a testing/synctest bubble the default one is the
// bubble's.
//
// # What it does not do
//
// It makes no sound that a person could hear; package audio does.
package sim
