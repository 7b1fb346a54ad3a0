// Package proof keeps, for each area, the record of who held the voice and what
// sounded, and judges it: the proof that nothing overlapped.
//
// # Concepts
//
// A [Record] says one thing: the hub began to write, an area was granted or became
// free, a device told when its first and its last sample sounded, somebody sounded
// without a right. A [Book] appends the records of all areas to files, one record a
// line, JSON; each line carries the SHA-256 of the line before it and of itself, so
// that a record which was changed, taken out or put in later is found, as long as
// somebody knows the newest sum ([Verdict.Chain]).
//
// # Whose clock
//
// What sounded is told by the device that made the sound, in its own monotonic
// clock. An [Audit] turns it into the hub's: the smallest difference between the
// hub's clock at the arrival and the device's at the sending, over all reports of
// one start of the device, is off by no more than the quickest message was
// underway. Since that may be the only report of a start, and have waited for a dead
// connection to be given up, the arbiter also compares clocks at each want of the
// device, and notes by how much the report was slower than the quickest of them. A
// play cannot have begun before its grant, nor ended after its report, and is cut to
// that. So two plays that were handed over properly never seem to
// overlap, and two that did overlap do, but for milliseconds of transport.
//
// The hub's clock is the wall's at the start and counts evenly from there: a step
// of the wall's clock moves nothing within one run.
//
// # The check
//
// The same Audit reads the files ([Book.Check], [CheckFiles]) and follows what is
// written live ([Book.Overlaps]). A grant without a report counts as unmeasured, not
// as proof: its device died, never heard of it, or does not report (classic
// programs and devices that only set busy).
//
// What a leader has recorded while it could not reach the hub comes later, also after a
// restart of the leader. A work that it reports as played is noted at once: as long as
// nothing else of that play is in the record it counts as awaited.
//
// What may make two devices sound at once on purpose is declared beforehand, by a
// record of its own: an emergency that does not wait for a device which does not
// answer ([Barge]), an area that the hub takes while its silent leader may go on
// ([Split], to [Whole]), and a node of several that grants to its own devices while the
// ledger of all is away ([PerNode], to [Joined]): that alone declares what overlaps with
// a grant of that node's in that time. Each is counted and dated. It is no overlap; where two did
// sound at once, that is one, and says by what it was declared.
//
// # Several nodes
//
// An area moves between the nodes of a hub, and with it who writes: the record of an
// area is in the books of several. Each node copies the others' ([Book.Follow]), twice
// a second, line by line with their chains, onto its own disk; so a record outlives its
// node, and what was written while a node could not be reached comes later. A verdict
// is of all of them, ordered by time. It says of each node where its record was
// changed, and whether and up to when it is known ([Strand]): what a node wrote in the
// half second before it died for good is not known, and that is said.
//
// Nodes compare clocks whenever they ask: a comparison is off by no more than half of
// the time that the answer took. Two plays that were told to different nodes overlap
// when they do by more than that.
//
// A node that does not go on from what was copied of it, since somebody changed its
// record or put back an older one, is found: the copy is kept aside, and the verdict
// says so. Of a copy that is aside nothing is judged.
//
// # What the nodes have in common
//
// Where all that have a record are gone with their disks, a [Common] has it, a server
// that all nodes use: each brings the newest of its own there as soon as it is written
// ([Book.Mirror]), line by line with their chains, and Follow copies from there what was
// recorded by nodes that do not live, for that is all that is left of them. So there is
// one way to read, from files on the own disk, and one to judge. The disks have the whole
// all the same: they have more of it, and a verdict needs no server.
//
// The mirror has no queue. It knows how far the record goes there, and reads what is
// missing from the files: what was written while the server was away comes later, and one
// that was emptied, or set back, is filled again, by its node, and within half a minute
// by any that has a copy of a node that does not live. A write there is done only if
// nobody else has written meanwhile.
//
// A node whose disk is new, or older than it was, first takes back what it had in common
// ([Book.Regain]), and goes on with that. Where it could not, since the server was away,
// what is there does not fit any more, and is kept aside there for whoever reads it.
//
// With its record a node says there up to when that is all, and by how much its clock is
// ahead of the server's. By that a node that has never met it tells its times, to a
// second.
//
// What was changed there does not go on from its chain, is not copied, and makes the
// verdict say so; so does what does not go on from a copy, which stays.
//
// # Limits
//
// A file ends at 256 KiB; of an area the newest 256 are kept ([Config] can say
// otherwise), and the first line of
// each says with which sum the one before it ended. Copies are bounded in the same
// way, for each area of at most 64 nodes that live, and 64 that do not. In common are the
// newest 2 MiB of each area and node, some 2,400 plays, in whole files; a node that could
// reach the server again after more than that begins there with these. Records wait in a
// queue of 4,096; what finds it full is counted, and the record says itself how many are
// missing. Writing is not waited for by those who grant: a power cut can take the
// newest seconds, which the next start shows as a gap, or has back from what is in common;
// kill -9 takes nothing that was written.
//
// # Goroutines
//
// [Book.Run], [Book.Follow] and [Book.Mirror] block, each for its caller; Follow starts
// one for each node that it asks, and awaits it.
package proof
