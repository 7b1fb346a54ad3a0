package arbiter

import (
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

const (
	errandEvery = time.Second // a work is handed on again until its owner says that he has it
	mostErrands = 32          // works that are handed on in one step
)

// errands are the works of an area that were handed in at this node and have no end
// yet, whoever has the area. Where there are several nodes, a work stays with the
// node that accepted it, whose order service has it durably, until its end is there:
// whoever gets the area is handed them all.
type errands struct {
	by    map[area.WorkID]*errand
	order []*errand
	n     uint64

	kept []workRecord // of this node's record at its start, until they are handed in again
}

// errand is one work, with what is known of it.
type errand struct {
	ev     Submit
	n      uint64
	to     string       // life of the owner who was handed it last; empty: none was
	sent   area.Instant // to him
	taken  bool         // he has said that he has it
	cancel string       // somebody has taken it back
	told   area.Instant // when that was sent
	over   bool         // its end was reported: it is nobody's to do any more
}

func newErrands(kept []workRecord) errands {
	return errands{by: map[area.WorkID]*errand{}, kept: slices.Clone(kept)}
}

// add takes a work in, and tells whether it was not there.
func (e *errands) add(ev Submit) bool {
	if e.by[ev.Work.ID] != nil {
		return false
	}
	e.n++
	one := &errand{ev: e.recall(ev), n: e.n}
	e.by[ev.Work.ID] = one
	e.order = append(e.order, one)
	return true
}

// recall adds what this node's record knows of a work: who has it, or had it.
func (e *errands) recall(ev Submit) Submit {
	i := slices.IndexFunc(e.kept, func(r workRecord) bool { return r.Work == ev.Work.ID })
	if i < 0 {
		return ev
	}
	r := e.kept[i]
	e.kept = slices.Delete(e.kept, i, i+1)
	if r.Device != "" || r.Att > 1 {
		ev.Att, ev.Reason, ev.Given = r.Att, r.Reason, ledWork{workRecord: r}.given()
	}
	return ev
}

// ended is the end of a work that this node's record knows; false: it knows none.
func (e *errands) ended(id area.WorkID) (workRecord, bool) {
	i := slices.IndexFunc(e.kept, func(r workRecord) bool { return r.Work == id && r.End != "" })
	if i < 0 {
		return workRecord{}, false
	}
	return e.kept[i], true
}

func (e *errands) remove(id area.WorkID) {
	delete(e.by, id)
	e.order = slices.DeleteFunc(e.order, func(one *errand) bool { return one.ev.Work.ID == id })
	e.kept = slices.DeleteFunc(e.kept, func(r workRecord) bool { return r.Work == id })
}

// note keeps how far a work has come, for whoever has the area next.
func (e *errands) note(r area.Report) {
	one := e.by[r.Work]
	if one != nil && r.State.Ended() {
		one.over = true
	}
	if one == nil || one.over || r.Att < one.ev.Att || r.Att < 1 {
		return
	}
	one.taken = true
	one.ev.Reason, one.ev.Given = r.Reason, nil
	given := r.Device != "" && (r.State == area.OrderAssigned || r.State == area.OrderPlaying)
	if given {
		one.ev.Given = &area.Assignment{Device: r.Device, MID: r.MID, Boot: r.Boot}
	}
	one.ev.Maybe = one.ev.Maybe || r.State == area.OrderPlaying
	if given || r.Att > 1 {
		one.ev.Att = r.Att
	}
}

// handed is a work as it goes to another node at now.
func (one *errand) handed(now area.Instant) *area.Handed {
	a := away{ev: one.ev}
	a.ev.Att = max(a.ev.Att, 1)
	return a.handed(now)
}

// elsewhere tells whether a work was handed to another node, which may have it still.
func (e *errands) elsewhere(id area.WorkID) bool {
	one := e.by[id]
	return one != nil && one.to != ""
}

func (one *errand) due(last, now area.Instant) bool { return last == 0 || now >= last.Add(errandEvery) }

// anew has everything handed on again: to another owner.
func (e *errands) anew() {
	for _, one := range e.order {
		one.taken, one.sent, one.told = false, 0, 0
	}
}

// next is when something is to be handed on again.
func (e *errands) next() area.Instant {
	next := area.Never
	for _, one := range e.order {
		if one.over {
			continue
		}
		if !one.taken && one.sent != 0 {
			next = min(next, one.sent.Add(errandEvery))
		}
		if one.cancel != "" && one.told != 0 {
			next = min(next, one.told.Add(errandEvery))
		}
	}
	return next
}
