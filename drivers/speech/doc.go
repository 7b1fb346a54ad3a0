// Package speech turns a text into sound: with the program espeak-ng where it
// is installed, else with one tone per word, so that a demonstration is heard on
// every machine.
//
// # Concepts
//
// A [Speaker] speaks; [Estimate] says how long a text will take without
// speaking it, which is what the hub shows before anything has sounded.
//
// The text goes to the program by standard input and never into its arguments,
// where it could be taken for an option and where every user of the machine
// could read it. The voice is the one argument that comes from outside; it is
// checked against a pattern, then tried once.
//
// # What it does not do
//
// No playing, no markup, no cache; no goroutine that outlives a call.
package speech
