package proof

import (
	"slices"

	"github.com/tacet-hub/tacet/broker/area"
)

// Declaration is what may have made two devices sound at once, on purpose.
type Declaration struct {
	Is     Kind          `json:"is"` // [Barge], [Split] or [PerNode]
	At     area.Time     `json:"at"`
	To     *area.Time    `json:"to,omitempty"`     // of a split, and of a node by itself: when it was over; null: not yet
	Device area.DeviceID `json:"device,omitempty"` // who barged in; of a split: the leader; of a node by itself: empty
	Node   string        `json:"node,omitempty"`   // of a node by itself
	Over   area.DeviceID `json:"over,omitempty"`   // of a barge: whom it did not wait for
	Token  area.Token    `json:"token,omitempty"`
	Work   area.WorkID   `json:"work,omitempty"`
	Term   uint64        `json:"term,omitempty"` // of a split: the leader's
	Own    uint64        `json:"own,omitempty"`  // same: the hub's; of a node by itself: its first

	by    string   // of a node by itself: in whose record it stands
	terms []uint64 // same: by which it granted
	died  bool     // same: it ended without a word, and what it had granted may have lived on
}

// declared are the newest declarations of an area, in the order in which they came.
type declared []Declaration

const mostDeclared = 1000 // kept; more are counted

// declare takes a barge, a split or a node by itself in, or the end of those. A barge
// that a leader has noted may come twice.
func (a *Audit) declare(r Record) {
	switch r.Is {
	case Whole:
		a.declared.over(at(r.T))
		return
	case Joined:
		a.declared.joined(a.by, at(r.T), false)
		return
	case PerNode:
		if a.declared.goesOn(a.by, r.Own) {
			return
		}
	}
	d := Declaration{Is: r.Is, At: at(r.T), Device: r.Device, Over: r.Over, Token: r.Token, Work: r.Work, Term: r.Term, Own: r.Own}
	switch {
	case r.Is == Split:
		a.counts.Splits++
	case r.Is == PerNode:
		a.counts.PerNode++
		d.Node, d.by, d.terms = r.Node, a.by, []uint64{r.Own}
	case a.declared.has(d):
		return
	default:
		a.counts.Barges++
	}
	if len(a.declared) >= mostDeclared {
		a.declared = append(a.declared[:0], a.declared[1:]...)
	}
	a.declared = append(a.declared, d)
}

func (l declared) has(d Declaration) bool {
	for _, o := range l {
		if o.Is == d.Is && o.Device == d.Device && o.Over == d.Over && o.Token == d.Token {
			return true
		}
	}
	return false
}

// over ends the splits that are not over.
func (l declared) over(when area.Time) {
	for i := range l {
		if l[i].Is == Split && l[i].To == nil {
			l[i].To = &when
		}
	}
}

const mostTerms = 64 // of a node by itself; more are not declared

// goesOn notes a further term of a node that goes on by itself; false: it does not.
func (l declared) goesOn(by string, own uint64) bool {
	for i := range l {
		if d := &l[i]; d.Is == PerNode && d.by == by && d.To == nil {
			if len(d.terms) < mostTerms {
				d.terms = append(d.terms, own)
			}
			return true
		}
	}
	return false
}

// joined ends what a node has declared of itself; died: by its end.
func (l declared) joined(by string, when area.Time, died bool) {
	for i := range l {
		if d := &l[i]; d.Is == PerNode && d.by == by && d.To == nil {
			d.To, d.died = &when, died
		}
	}
}

// apart tells whether two plays that a node by itself has granted one of, and another
// arbiter the other, sounded at once in that time.
func (d Declaration) apart(x, y Play, from area.Time) bool {
	granted := func(p Play) bool { return slices.Contains(d.terms, p.Token.Term()) }
	return granted(x) != granted(y) && !from.Before(d.At.Time) && (d.To == nil || d.died || from.Before(d.To.Time))
}

// by is what declared that two plays might sound at once from that moment on; empty:
// nothing did.
func (l declared) by(x, y Play, from area.Time) Kind {
	for _, d := range l {
		switch {
		case d.Is == Barge && (d.Token == x.Token && d.Over == y.Device || d.Token == y.Token && d.Over == x.Device):
			return Barge
		case d.Is == Split && !from.Before(d.At.Time) && (d.To == nil || from.Before(d.To.Time)):
			return Split
		case d.Is == PerNode && d.apart(x, y, from):
			return PerNode
		}
	}
	return ""
}
