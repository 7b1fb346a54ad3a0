package proof

import "github.com/tacet-hub/tacet/broker/area"

// Declaration is what may have made two devices sound at once, on purpose.
type Declaration struct {
	Is     Kind          `json:"is"` // [Barge] or [Split]
	At     area.Time     `json:"at"`
	To     *area.Time    `json:"to,omitempty"`   // of a split: when it was over; null: not yet
	Device area.DeviceID `json:"device"`         // who barged in; of a split: the leader
	Over   area.DeviceID `json:"over,omitempty"` // of a barge: whom it did not wait for
	Token  area.Token    `json:"token,omitempty"`
	Work   area.WorkID   `json:"work,omitempty"`
	Term   uint64        `json:"term,omitempty"` // of a split: the leader's
	Own    uint64        `json:"own,omitempty"`  // same: the hub's
}

// declared are the newest declarations of an area, in the order in which they came.
type declared []Declaration

const mostDeclared = 1000 // kept; more are counted

// declare takes a barge or a split in, or the end of a split. A barge that a leader
// has noted may come twice.
func (a *Audit) declare(r Record) {
	if r.Is == Whole {
		a.declared.over(at(r.T))
		return
	}
	d := Declaration{Is: r.Is, At: at(r.T), Device: r.Device, Over: r.Over, Token: r.Token, Work: r.Work, Term: r.Term, Own: r.Own}
	switch {
	case r.Is == Split:
		a.counts.Splits++
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

// by is what declared that two plays might sound at once from that moment on; empty:
// nothing did.
func (l declared) by(x, y Play, from area.Time) Kind {
	for _, d := range l {
		switch {
		case d.Is == Barge && (d.Token == x.Token && d.Over == y.Device || d.Token == y.Token && d.Over == x.Device):
			return Barge
		case d.Is == Split && !from.Before(d.At.Time) && (d.To == nil || from.Before(d.To.Time)):
			return Split
		}
	}
	return ""
}
