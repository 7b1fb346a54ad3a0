package proof

import (
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Play is a sound: who, under which right, and when, by the hub's clock.
type Play struct {
	Device area.DeviceID `json:"device"`
	Token  area.Token    `json:"token"`
	Work   area.WorkID   `json:"work,omitempty"`
	From   area.Time     `json:"from"`
	To     area.Time     `json:"to"`

	by    string // the node that it was reported to, as a [source] has it
	wrong int64  // by how many ms its times may be
}

// Finding is something that is against the promise of one voice.
type Finding struct {
	Is     Kind          `json:"is"` // [Overlap], [Intruder] or [Conflict]
	At     area.Time     `json:"at"`
	Device area.DeviceID `json:"device"`
	Ms     int64         `json:"ms,omitempty"`    // of an overlap: how long
	Plays  []Play        `json:"plays,omitempty"` // of an overlap: the two
	// Declared says by what an overlap was declared: [Barge], [Split] or [PerNode];
	// empty: by nothing. It is an overlap all the same.
	Declared Kind `json:"declared,omitempty"`
}

// Overlap is the finding that two devices sounded at once. It is no record.
const Overlap Kind = "overlap"

const (
	mostPlays    = 4096 // with which a new one is compared
	mostGrants   = 4096 // that wait for their report
	mostClocks   = 1024 // starts of devices
	mostFindings = 1000 // kept; more are counted
)

// start is one start of a device: its clock begins anew with each.
type start struct {
	device area.DeviceID
	boot   uint64
}

type grant struct {
	r     Record
	by    string // the node that granted or adopted it
	freed bool   // or the node ended meanwhile, and nobody has adopted it since
}

// Audit follows the records of one area, in their order. Those that a leader of
// the area has noted while the hub could not be reached come later than their
// time; of one that comes twice the second changes nothing. Its zero value is
// ready.
// It is not safe for concurrent use.
type Audit struct {
	first, to int64
	counts    Counts
	clocks    map[start]int64 // hub's clock less the device's, the least that was seen
	grants    map[area.Token]grant
	order     []area.Token // of grants
	plays     []Play
	findings  []Finding
	declared  declared
	told      map[area.WorkID]bool // plays of which nothing else is recorded yet
	away      int64                // since when nobody writes; 0: somebody does

	by      string // the node whose records are taken, empty: this one
	wrong   int64  // by how many ms the times of its records may be
	covered bool   // another node was there at that time
}

// from says whose record is taken next: see [together].
func (a *Audit) from(node string, wrong int64, covered bool) *Audit {
	a.by, a.wrong, a.covered = node, wrong, covered
	return a
}

// Counts is what an [Audit] has seen.
type Counts struct {
	Records    uint64 `json:"records"`
	Plays      uint64 `json:"plays"`      // that were granted
	Measured   uint64 `json:"measured"`   // of these, by the device's own report
	Unmeasured uint64 `json:"unmeasured"` // grants that ended without a report
	Awaited    uint64 `json:"awaited"`    // plays that a leader told of, and whose record has not come
	Overlaps   uint64 `json:"overlaps"`
	Intruders  uint64 `json:"intruders"`
	Conflicts  uint64 `json:"conflicts"` // devices that said they play without a right; what sounded, their reports tell
	Barges     uint64 `json:"barges"`    // declared: an emergency did not wait for a device that did not answer
	Splits     uint64 `json:"splits"`    // declared: the hub took an area whose leader may have gone on
	PerNode    uint64 `json:"per_node"`  // declared: times that a node granted to its own devices by itself
	Missing    uint64 `json:"missing"`   // records that were never written
	Gaps       uint64 `json:"gaps"`      // times in which no hub wrote
	GapMs      int64  `json:"gap_ms"`
}

// Take follows one record, and returns what is wrong with it.
func (a *Audit) Take(r Record) (found []Finding) {
	a.counts.Records++
	if r.Is == Segment {
		return nil
	}
	if a.first == 0 || r.T < a.first {
		a.first = r.T
	}
	switch r.Is {
	case Started:
		a.started(r)
	case Ended:
		if !a.covered {
			a.away = r.T
		}
	case Granted:
		delete(a.told, r.Work)
		a.granted(r)
	case Freed:
		if g, ok := a.grants[r.Token]; ok {
			g.freed = true
			a.grants[r.Token] = g
		}
	case Told:
		a.await(r.Work)
	case Sounded:
		delete(a.told, r.Work)
		found = a.sounded(r)
	case Intruder, Conflict:
		found = []Finding{{Is: r.Is, At: at(r.T), Device: r.Device}}
	case Missing:
		a.counts.Missing += r.Count
	case Barge, Split, Whole, PerNode, Joined:
		a.declare(r)
	}
	a.to = max(a.to, r.T)
	a.note(found)
	return found
}

// await counts a play of which a leader has told, until its record is there.
func (a *Audit) await(w area.WorkID) {
	for _, g := range a.grants {
		if g.r.Work == w {
			return
		}
	}
	if slices.ContainsFunc(a.plays, func(p Play) bool { return p.Work == w }) {
		return
	}
	if len(a.told) >= mostGrants {
		a.counts.Awaited++
		return
	}
	if a.told == nil {
		a.told = map[area.WorkID]bool{}
	}
	a.told[w] = true
}

// note keeps what was found.
func (a *Audit) note(found []Finding) {
	for _, f := range found {
		switch f.Is {
		case Overlap:
			a.counts.Overlaps++
		case Intruder:
			a.counts.Intruders++
		case Conflict:
			a.counts.Conflicts++
		}
		if len(a.findings) < mostFindings {
			a.findings = append(a.findings, f)
		}
	}
}

// started ends a time in which nobody wrote: it began at the last record, also
// where that was not an orderly end. What the same node had granted before is over,
// unless somebody adopts it.
func (a *Audit) started(r Record) {
	since := a.away
	if since == 0 {
		since = a.to
	}
	if since != 0 && !a.covered {
		a.counts.Gaps++
		a.counts.GapMs += max(0, r.T-since)
	}
	a.away = 0
	a.declared.joined(a.by, at(r.T), true)
	for t, g := range a.grants {
		if g.by == a.by {
			g.freed = true
			a.grants[t] = g
		}
	}
}

func (a *Audit) granted(r Record) {
	if g, known := a.grants[r.Token]; known {
		g.freed, g.by = false, a.by // adopted by the next arbiter
		a.grants[r.Token] = g
		return
	}
	if a.reported(r) {
		return // it comes once more
	}
	a.counts.Plays++
	if a.grants == nil {
		a.grants = map[area.Token]grant{}
	}
	a.grants[r.Token] = grant{r: r, by: a.by}
	if a.order = append(a.order, r.Token); len(a.order) > mostGrants {
		a.drop(a.order[0])
		a.order = slices.Delete(a.order, 0, 1)
	}
}

// drop forgets a grant; one that nobody reported on counts.
func (a *Audit) drop(t area.Token) {
	if _, waits := a.grants[t]; waits {
		a.counts.Unmeasured++
		delete(a.grants, t)
	}
}

// sounded takes the report of a play: only the first of a grant counts, since a
// device says it until it is answered.
func (a *Audit) sounded(r Record) (found []Finding) {
	clock := a.clock(r)
	if a.reported(r) {
		return nil
	}
	from, to := r.First+clock, min(r.Last+clock, r.T)
	if g, ok := a.grants[r.Token]; ok && g.r.Device == r.Device {
		from = max(from, g.r.T)
		delete(a.grants, r.Token)
		a.order = slices.DeleteFunc(a.order, func(t area.Token) bool { return t == r.Token })
	} else {
		a.counts.Plays++ // granted by another arbiter, or before this record began
	}
	a.counts.Measured++
	p := Play{Device: r.Device, Token: r.Token, Work: r.Work, From: at(from), To: at(max(from, to)), by: a.by, wrong: a.wrong}
	for _, o := range a.plays {
		if ms := overlap(o, p); o.Device != p.Device && ms > 0 {
			begun := at(max(from, o.From.UnixMilli()))
			found = append(found, Finding{Is: Overlap, At: begun, Device: p.Device, Ms: ms, Plays: []Play{o, p}, Declared: a.declared.by(o, p, begun)})
		}
	}
	if a.plays = append(a.plays, p); len(a.plays) > mostPlays {
		a.plays = slices.Delete(a.plays, 0, 1)
	}
	return found
}

func (a *Audit) reported(r Record) bool {
	return slices.ContainsFunc(a.plays, func(p Play) bool { return p.Device == r.Device && p.Token == r.Token })
}

// clock is by how much the hub's clock is ahead of that of the device's start.
func (a *Audit) clock(r Record) int64 {
	s, ahead := start{r.Device, r.Boot}, r.T-r.At-r.Late
	if best, ok := a.clocks[s]; ok && best < ahead {
		return best
	}
	if a.clocks == nil || len(a.clocks) >= mostClocks {
		a.clocks = map[start]int64{}
	}
	a.clocks[s] = ahead
	return ahead
}

// overlap is for how many milliseconds both sounded, at the least: two nodes that
// were told of them know each other's clock as well as that.
func overlap(x, y Play) int64 {
	ms := min(x.To.UnixMilli(), y.To.UnixMilli()) - max(x.From.UnixMilli(), y.From.UnixMilli())
	if x.by != y.by {
		ms -= x.wrong + y.wrong
	}
	return ms
}

func at(ms int64) area.Time { return area.At(time.UnixMilli(ms)) }

// seen is the counts, with the grants that have ended and were not reported on.
func (a *Audit) seen() Counts {
	c := a.counts
	c.Awaited += uint64(len(a.told))
	for _, g := range a.grants {
		if g.freed {
			c.Unmeasured++
		}
	}
	return c
}
