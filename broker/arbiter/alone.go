package arbiter

import (
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/reign"
)

// alone says when a node goes on with an area by itself, where the area is set to
// (on_ledger_loss: per_node, §8.11), and when it goes back to the others. It is a pure
// state machine.
//
// A node parts from the others when neither the ledger answers nor the node is heard
// that has the area, for as long as a reign lasts without a word of the ledger: what
// another node may have granted has ended by then, unless that still reaches the
// ledger. Once the ledger answers, or who has the area is heard, nothing is granted or
// prolonged any more; and when what was granted has run out the node is one of the
// others again. It grants only while it has parted, and its leases live only until it
// has joined: whatever overlaps with another node's does so in that time.
type alone struct {
	stage  stage
	dark   area.Instant  // since when the ledger does not answer; 0: it does
	wait   time.Duration // from then on
	called bool          // since it has parted, who has the area was heard
	last   reign.State   // the ledger's newest word since then
	ever   bool          // it has parted since the last reign here began
	term   uint64        // that was told, since it has parted
}

// stage is where a node stands to the others in an area.
type stage int

const (
	together stage = iota
	apart          // it grants to its own devices
	leaving        // it does not any more, and what it has granted runs out
)

// move is what a node is to do.
type move int

const (
	stays   move = iota
	parts        // begin to grant to our own devices
	ends         // grant no more
	returns      // be one of the others
)

// ledger takes in the ledger's word on the area. ours: a reign of our own has ended
// with it. life is that of a reign.
func (a *alone) ledger(s reign.State, ours bool, life time.Duration, now area.Instant) {
	a.last = s
	switch {
	case !s.Away:
		a.dark = 0
	case a.dark == 0:
		if a.dark, a.wait = now, life; ours { // nobody else had it
			a.wait = 0
		}
	}
}

// hears takes in that who has the area was heard.
func (a *alone) hears() { a.called = a.stage != together }

// by is when a node parts, unless something is heard; [area.Never]: it does not. heard
// is when who has the area was heard last; 0: not in this reign.
func (a *alone) by(heard area.Instant, life time.Duration) area.Instant {
	if a.stage != together || a.dark == 0 {
		return area.Never
	}
	at := a.dark.Add(a.wait)
	if heard != 0 {
		at = max(at, heard.Add(life))
	}
	return at
}

// next is the move that is due. may: the area is set to, and nobody else leads it;
// lends: a lease of ours may be alive.
func (a *alone) next(may, lends bool, heard area.Instant, life time.Duration, now area.Instant) move {
	switch {
	case a.stage == together && may && now >= a.by(heard, life):
		a.stage, a.called, a.ever = apart, false, true
		return parts
	case a.stage == apart && (a.dark == 0 || a.called || !may):
		a.stage = leaving
		return ends
	case a.stage == leaving && !lends:
		a.stage = together
		if a.dark != 0 {
			a.dark, a.wait = now, life
		}
		return returns
	}
	return stays
}

// refuse has the node not part before the ledger's next word.
func (a *alone) refuse() { a.stage, a.dark = together, 0 }

// here tells whether what is said in the area is this node's alone to answer.
func (a *alone) here() bool { return a.stage != together }
