// Package update replaces the program of a device by a newer one, so that
// whatever happens, and whenever, the device starts with a program that works.
//
// # Concepts
//
// A [Release] is a signed manifest: which version, for which processor, how many
// bytes, which SHA-256. The signature (ed25519, over the manifest's exact bytes)
// is checked first, then the bytes of the program; nothing is unpacked, run or
// believed before.
//
// The program that was installed with the system, by a package or in the image,
// is the launcher: it is never written to. Two slots, A and B, are files beside
// each other in the device's data directory. [Launch] is what the launcher does
// at each start: it looks at the slots and becomes the program of one of them
// (same process, same arguments), or stays itself where there is none, where one
// is damaged or cannot be executed, or where the package is newer than they are.
//
// A device is two programs, and the one carries the other behind its own bytes
// ([Join]): a release is one file with one hash, a slot holds both or neither, and they
// fall back together. A device of before there were two takes such a release like any
// other. What is carried is unpacked when it is to be run ([Unpack]).
//
// [State] is a pure state machine. A download goes into the slot that is not in
// use. What is whole there is on trial: it has [MaxTries] starts, and in each of
// them [TrialTime] to be healthy (in touch with the hub, audio as good as
// before). Healthy, it is confirmed; else the device goes back to what it had,
// and that build is not tried again. A confirmed one that does not stay up is left after
// [MaxStarts] starts.
//
// A key that is taken out of the configuration takes the programs with it that it
// signed: their slots are left, at the next start.
//
// The slots' state is one file that is replaced as a whole. At every moment it
// names programs that are whole on the disk: a program is synced, renamed, and
// its directory synced, before the state names it.
//
// # Goroutines
//
// [Updater.Run] is one, the owner of the slots; it downloads, waits out the trial
// and says when the process is to start anew. [Updater.Order] only enqueues, into
// a queue of one: a second order while one waits is refused and counted.
//
// # What it does not do
//
// It does not restart the process, and does not know when it is a good moment:
// its caller does. It does not look for updates by itself: an operator says when.
package update
