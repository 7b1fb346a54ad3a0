// Package garbage has a busy program collect its garbage less often.
//
// The runtime collects when the heap has doubled. A hub keeps a few megabytes, so
// that under load it would collect dozens of times a second, which is a good part
// of what a call costs it. [Spread] lets as much garbage lie as comes in half a
// second, at most 64 MB and at most an eighth of GOMEMLIMIT, and sees to it anew
// with every collection: a program that idles has none of that, and one that only
// grows, because many connect, has not either. GOMEMLIMIT holds as it always does.
//
// # Concepts
//
// A cycle is one collection. What it found, and when, is the input of a pure
// function (pace); its result is what GOGC would say.
//
// # Goroutines
//
// None of its own: the runtime's goroutine for cleanups calls it after a cycle.
//
// # What it does not do
//
// It leaves a program alone whose operator has set GOGC.
package garbage
