// Package office has a device lead its area in a program of its own, tacet-leader,
// which runs only while there is something for it to do: the broker and the arbiter
// of an area are larger than everything else of a device, and most devices never
// lead.
//
// # Concepts
//
// An [Office] is the device's end: to package leader it is the [leader.Host]. It
// starts the program when the device is to lead, and while the hub is owed something
// of an earlier reign; the program ends when it neither leads nor owes anything.
// [Serve] is the program's end: it runs a [Host], and shows it the device's second
// connection to the hub, which stays the device's.
//
// What crosses are frames (frame.go): one JSON object a line, over the program's
// standard input and output. What it logs on standard error goes to the log of the
// device, with its level and its keys. Both ends are of one release; another is
// refused before anything is opened.
//
// The frames of a reign are those of [leader.Reign]: its end and its beginning, the
// roster, rivals, terms that were heard, where the leader is. Those of the trunk are
// [area.Trunk] in both directions. Each start of the program has a life of its own on
// the trunk, so that the hub and the leader know that the other one is new. Roster
// documents go from the connection to the member without a detour.
//
// # One voice
//
// Nothing may grant that the device does not know of. Three rules see to it:
//
//   - The program is over when its standard input is, and on Linux by the kernel
//     (PR_SET_PDEATHSIG) when the device is gone: it does not outlive it.
//   - The program asks the device for leave every [Ask], and has it for [Leave], which
//     counts from when it asked. Without leave the program is over at once, without
//     waiting for anything: a device that stands still (SIGSTOP) no longer sees the
//     others of its area, who take a hung leader for dead after 2.3 s at the least and
//     lead a second later (COORDINATION.md §4). Leave ends before that.
//   - A program that asks for nothing for [Patience] is killed (SIGKILL) and waited
//     for, and the member leaves it to others for a while.
//
// # Marks
//
// A directory with the leader's database and without the file "clear" is that of a
// program that may owe the hub something. The program removes the mark, and has that
// on the disk, before it opens its database, and writes it at its end where nothing
// is owed. So a device that has never led never runs the program, but to ask it once
// for its release.
//
// # Goroutines
//
// [Office.Run] is the owner of the program and of everything of a reign. Beside it,
// while a program runs, are one that has started it and waits for its end, on a
// thread of its own, since the kernel ties the program's life to that thread; one
// reader each of output and log; and one writer. [Serve] owns the program's end, and
// starts a reader, a writer, the host, and what leads.
//
// # Queues
//
// What is on its way to the other end waits in a queue of [MostFrames] frames and
// [MostBytes] bytes. In the program what finds it full is refused to whoever says it,
// as an MQTT connection does ([uplink.ErrFull]), and counted (Refused): it is said
// again. In the device words of the hub cannot be refused: a program that does not
// take them is stuck; it is killed, and counted (Stuck), and the next one hears
// everything anew. Of the log, lines of over 64 KiB are cut.
//
// # What it does not do
//
// It elects nobody, and it knows nothing of brokers and arbiters: who assembles the
// program does ([Serve]'s open).
package office
