package proof

// Stats counts since the start, over all areas.
type Stats struct {
	Records   uint64 // written
	Dropped   uint64 // that found the queue full
	Failed    uint64 // writes that failed
	Overlaps  uint64
	Intruders uint64
	Conflicts uint64
	Barges    uint64 // declared, those that leaders had noted among them
	Splits    uint64 // declared
	PerNode   uint64 // declared: terms by which this node granted to its own devices by itself

	Copied     uint64 // records of other nodes
	CopyFailed uint64 // times that some could not be copied, or kept; they come again
	Forks      uint64 // copies that their node does not go on from

	Mirrored     uint64 // records that were brought to what the nodes have in common
	MirrorFailed uint64 // times that some could not be; they come again
	MirrorForks  uint64 // records there that did not go on here, and were put aside
	Regained     uint64 // records of this node that were taken back from there
}

// Stats is a snapshot of the counters.
func (b *Book) Stats() Stats {
	return Stats{
		Records: b.count.written.Load(), Dropped: b.count.dropped.Load(), Failed: b.count.failed.Load(),
		Overlaps: b.count.overlaps.Load(), Intruders: b.count.intruders.Load(), Conflicts: b.count.conflicts.Load(),
		Barges: b.count.barges.Load(), Splits: b.count.splits.Load(), PerNode: b.count.perNode.Load(),
		Copied: b.count.copied.Load(), CopyFailed: b.count.copyFailed.Load(), Forks: b.count.forks.Load(),
		Mirrored: b.count.mirrored.Load(), MirrorFailed: b.count.mirrorFailed.Load(), MirrorForks: b.count.mirrorForks.Load(), Regained: b.count.regained.Load(),
	}
}
