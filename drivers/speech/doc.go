// Package speech turns a text into sound: with the program piper where it and a
// model are installed, with espeak-ng where that is, else with one tone per word,
// so that a demonstration is heard on every machine.
//
// # Concepts
//
// A [Speaker] speaks; [Estimate] says how long a text will take without
// speaking it, which is what the hub shows before anything has sounded.
//
// The text goes to the program by standard input and never into its arguments,
// where it could be taken for an option and where every user of the machine
// could read it. The voice is the one argument that comes from outside; it is
// checked against a pattern, then tried once by espeak-ng; of piper's it chooses
// among the models that are there.
//
// # What it does not do
//
// No playing, no markup, no cache; no goroutine that outlives a call.
package speech
