package arbiter

import (
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// mostPlayed bounds a hearsay, which is in each record; the oldest goes.
const mostPlayed = 128

// hearsay is works that were played and that nobody here knows, the oldest first: who
// has accepted such a work is gone, or is not heard, and will hand it in when it is back.
// Then it has its end, and is not played once more.
type hearsay []area.Report

// note remembers that a work was played, and tells whether that is new.
func (h *hearsay) note(r area.Report) bool {
	if slices.ContainsFunc(*h, func(p area.Report) bool { return p.Work == r.Work }) {
		return false
	}
	if len(*h) >= mostPlayed {
		*h = slices.Delete(*h, 0, 1)
	}
	*h = append(*h, r)
	return true
}

// take answers what is known of a work, and forgets it.
func (h *hearsay) take(id area.WorkID) (area.Report, bool) {
	i := slices.IndexFunc(*h, func(p area.Report) bool { return p.Work == id })
	if i < 0 {
		return area.Report{}, false
	}
	r := (*h)[i]
	*h = slices.Delete(*h, i, i+1)
	return r, true
}

// said is hearsay as it goes to another node.
func (h hearsay) said() (list []area.Reported) {
	for _, r := range h {
		list = append(list, *r.Reported(0))
	}
	return list
}

// late takes in a word of an owner whose reign is over: what was played was played.
func (o *outpost) late(w word) {
	if t := w.Say; t != nil && t.Op == area.TrunkReport && t.Report.State == area.OrderPlayed && o.works.by[t.Report.Work] != nil {
		o.answered(t)
	}
}

// records is hearsay as it is written down.
func (h hearsay) records() (list []workRecord) {
	for _, r := range h {
		list = append(list, workRecord{Work: r.Work, Att: max(1, r.Att), Device: r.Device, End: area.OrderPlayed})
	}
	return list
}

// unknownDone hears a device say that it has played a work that nobody has handed in. One
// of the record has its end by that; any other may be a work of another node. The answer
// is the number of the record that has to be durable before the device may forget it.
func (c *Core) unknownDone(d area.DeviceID, m *area.Claim) uint64 {
	i := slices.IndexFunc(c.start.Works, func(r workRecord) bool { return r.Work == m.Work })
	switch {
	case i < 0 && !c.cfg.Reigned:
		return 0
	case i < 0:
		c.hears(area.Report{Work: m.Work, Area: c.cfg.Area, State: area.OrderPlayed, Device: d, Att: m.Att})
		return c.newest()
	}
	r := &c.start.Works[i]
	r.Device, r.Att, r.Reason, r.End = d, max(r.Att, m.Att), "", area.OrderPlayed
	c.save()
	return c.newest()
}

// hears remembers that a work was played that is not known here.
func (c *Core) hears(r area.Report) {
	if c.cfg.Reigned && r.State == area.OrderPlayed && area.IsID(string(r.Work)) && !c.hasEnded(r.Work) && c.heardOf.note(r) {
		c.save()
	}
}

// havePlayed are works that were played, as far as the order services may not know it.
func (c *Core) havePlayed() (list hearsay) {
	for _, works := range [][]workRecord{c.start.Works, c.ended} {
		for _, r := range works {
			if r.End == area.OrderPlayed {
				list.note(r.report(c.cfg.Area))
			}
		}
	}
	for _, r := range c.heardOf {
		list.note(r)
	}
	return list
}

// report is what became of a work that has ended.
func (r workRecord) report(in area.Name) area.Report {
	return area.Report{Work: r.Work, Area: in, State: r.End, Device: r.Device, Att: r.Att, Reason: r.Reason, Dur: time.Duration(r.DurMs) * time.Millisecond}
}
