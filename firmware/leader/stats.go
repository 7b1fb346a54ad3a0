package leader

import "sync/atomic"

type counters struct {
	documents, badDocuments, passedOn, dropped, strangers, conflicts, calls, callsFailed, asks, reigns, unfit, aims atomic.Uint64
	carried, carriedFull, carriedRefused                                                                            atomic.Uint64
	answers, badAnswers                                                                                             atomic.Uint64
}

// Stats counts what a [Seat] has done since it was made.
type Stats struct {
	Documents      uint64 // rosters taken in
	BadDocuments   uint64 // rosters refused: damaged, older, or of another hub over the membership
	PassedOn       uint64 // rosters given to another member
	Dropped        uint64 // news for which the inbox had no room: they come again
	Strangers      uint64 // looks at a member that is not on the roster
	Conflicts      uint64 // two machines of one name
	Calls          uint64 // to members that were missing
	CallsFailed    uint64
	Asks           uint64 // of the hub, whether somebody leads elsewhere
	Reigns         uint64 // begun here
	Unfit          uint64 // of these, ended since this member cannot lead
	Aims           uint64 // changes of where the device turns to
	Carried        uint64 // connections of others to the hub
	CarriedFull    uint64 // refused: too many at once
	CarriedRefused uint64 // refused: not a member, or the hub could not be reached
	Answers        uint64 // of members, by multicast DNS
	BadAnswers     uint64 // of strangers
}

// Stats is what was counted so far.
func (s *Seat) Stats() Stats {
	c := &s.count
	return Stats{Documents: c.documents.Load(), BadDocuments: c.badDocuments.Load(), PassedOn: c.passedOn.Load(), Dropped: c.dropped.Load(),
		Strangers: c.strangers.Load(), Conflicts: c.conflicts.Load(), Calls: c.calls.Load(), CallsFailed: c.callsFailed.Load(), Asks: c.asks.Load(),
		Reigns: c.reigns.Load(), Unfit: c.unfit.Load(), Aims: c.aims.Load(), Carried: c.carried.Load(), CarriedFull: c.carriedFull.Load(),
		CarriedRefused: c.carriedRefused.Load(), Answers: c.answers.Load(), BadAnswers: c.badAnswers.Load()}
}
