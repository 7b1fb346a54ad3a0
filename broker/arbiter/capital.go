package arbiter

import (
	"cmp"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// endEvery is how often the end of a work is said again to the node that accepted
// it, until that has it.
const endEvery = 2 * time.Second

// capital is the other half of an outpost: what the node that has an area knows of
// the works that other nodes have accepted. It is a pure state machine. What it
// forgets with its reign those nodes hand to the next owner.
type capital struct {
	area   area.Name
	origin map[area.WorkID]string
	ends   []*ending
	left   map[teller]bool // holds that the reign before left, as they were told
	n      uint64
}

// ending is the end of a work that its node does not have yet.
type ending struct {
	node   string
	report area.Report
	sent   area.Instant
}

// teller is a node, in one of its lives, that tells of a device's hold.
type teller struct {
	node, life string
	device     area.DeviceID
}

// toNode: send the word to one node.
type toNode struct {
	node string
	word word
}

func (toNode) action() {}

func newCapital(a area.Name) capital {
	return capital{area: a, origin: map[area.WorkID]string{}, left: map[teller]bool{}}
}

// inherits are the holds of a join that this life of the node has not told this reign of
// before. An outpost says them until it hears that they are known: what it says once more
// may have ended meanwhile.
func (c *capital) inherits(from string, w word) (list []area.Hold) {
	for _, h := range w.Join.Holds {
		if by := (teller{from, w.Life, h.Device}); !c.left[by] {
			c.left[by] = true
			list = append(list, h)
		}
	}
	return list
}

// submitted notes who has accepted a work, and says that it has come.
func (c *capital) submitted(from string, t *area.Trunk) Action {
	c.origin[t.Handed.Work] = from
	return toNode{from, word{Say: &area.Trunk{Op: area.TrunkSubmitted, Area: c.area, N: t.N, Work: t.Handed.Work}}}
}

// report hands what became of a work to the node that accepted it; it answers nil
// for one of ours.
func (c *capital) report(r area.Report, now area.Instant) Action {
	node := c.origin[r.Work]
	if node == "" {
		return nil
	}
	if r.State.Ended() && !slices.ContainsFunc(c.ends, func(e *ending) bool { return e.report.Work == r.Work }) {
		c.ends = append(c.ends, &ending{node, r, now})
	}
	return c.tell(node, r, 0)
}

// ended says the end of a work once more that a node hands in again, since it has not
// heard it yet; nil: it has none. To the arbiter it would be another work: it forgets
// the ends of those that nobody was assigned.
func (c *capital) ended(id area.WorkID, now area.Instant) Action {
	for _, e := range c.ends {
		if e.report.Work == id {
			e.sent = now
			return c.tell(e.node, e.report, 0)
		}
	}
	return nil
}

func (c *capital) tell(node string, r area.Report, ago time.Duration) Action {
	c.n++
	return toNode{node, word{Say: &area.Trunk{Op: area.TrunkReport, Area: c.area, N: c.n, Report: r.Reported(ago)}}}
}

// ours notes that a work is this node's: it was handed in here, perhaps since the node
// that had accepted it is gone.
func (c *capital) ours(id area.WorkID) { c.stored(id) }

// stored forgets a work whose end its node has.
func (c *capital) stored(id area.WorkID) {
	delete(c.origin, id)
	c.ends = slices.DeleteFunc(c.ends, func(e *ending) bool { return e.report.Work == id })
}

// again says the ends once more that nobody has confirmed.
func (c *capital) again(now area.Instant) (list []Action) {
	for _, e := range c.ends {
		if now >= e.sent.Add(endEvery) {
			e.sent = now
			list = append(list, c.tell(e.node, e.report, 0))
		}
	}
	return list
}

// live forgets the ends for nodes that are gone: they are told when they hand their
// works in again.
func (c *capital) live(names []string) {
	c.ends = slices.DeleteFunc(c.ends, func(e *ending) bool { return !slices.Contains(names, e.node) })
}

// next is when an end is to be said again.
func (c *capital) next() area.Instant {
	next := area.Never
	for _, e := range c.ends {
		next = min(next, e.sent.Add(endEvery))
	}
	return next
}

// eventOf is what a word of an outpost says to the area's arbiter; nil: nothing.
func eventOf(t *area.Trunk, a area.Name, now area.Instant, wall time.Time) Event {
	switch t.Op {
	case area.TrunkHeard:
		return Heard{Device: t.Device, Claim: *t.Claim, Hold: t.Hold}
	case area.TrunkSet:
		return Set{Device: t.Device, On: t.On, Will: t.Will}
	case area.TrunkStopPlay:
		return StopPlay{}
	case area.TrunkCancel:
		return Cancel{Work: t.Work, Reason: t.Reason}
	case area.TrunkStored:
		return Stored{Work: t.Work}
	case area.TrunkSubmit:
		h := t.Handed
		ev := Submit{Work: h.Take(a, wall), Expires: area.Never, Reason: h.Reason, Given: h.Given, Maybe: h.Maybe}
		if h.Given != nil || h.Att > 1 { // else nobody had it yet
			ev.Att = h.Att
		}
		if h.TTLMs >= 0 {
			ev.Expires = now.Add(time.Duration(h.TTLMs) * time.Millisecond)
		}
		return ev
	}
	return nil
}

// playersOf is who of a list is new or has changed since the one before, and who is
// gone.
func playersOf(list, before []herePlayer) (new []herePlayer, gone []area.DeviceID) {
	byID := func(x, y herePlayer) int { return cmp.Compare(x.Device, y.Device) }
	for _, p := range list {
		if i, was := slices.BinarySearchFunc(before, p, byID); !was || !p.same(before[i]) {
			new = append(new, p)
		}
	}
	for _, p := range before {
		if _, is := slices.BinarySearchFunc(list, p, byID); !is {
			gone = append(gone, p.Device)
		}
	}
	return new, gone
}
