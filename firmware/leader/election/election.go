package election

import (
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Times of the election.
const (
	// Window is how long a member must have been the first before it leads: what a
	// false alarm of the failure detector lasts, or one half of a merge (a node was
	// seen to flap for 0.14 s).
	Window = time.Second
	// Start is how long a member looks around before it first leads: its first calls
	// to the others take a moment.
	Start = 3 * time.Second
	// Sight is how long a leader in a direct area sees another's uplink before it
	// stops.
	Sight = time.Second

	askEvery = 500 * time.Millisecond
	// askMost is how long an answer of the hub is waited for: a hub that does not
	// answer arbitrates nothing. It is longer than it takes to know that an uplink is
	// lost, which is no answer either: then another member asks.
	askMost = 8 * time.Second
	// answerGood is for how long an answer counts.
	answerGood = 2 * time.Second
	unfitFor   = 30 * time.Second // after a reign that could not begin or go on
	hubLedFor  = 5 * time.Second  // after a reign that the hub has ended
	unlinked   = 10 * time.Second // a place without a connection for so long is passed over where there is another
	shunFor    = 30 * time.Second
)

// Election is the state of one member. Make it with [New]; it is for one
// goroutine.
type Election struct {
	self     Member
	roster   Roster
	others   []Member // by name
	uplink   bool
	aim      Aim
	linked   bool
	unlinked area.Instant // since when it is not
	shunned  map[area.DeviceID]area.Instant

	leading   bool         // Lead was said, and neither Stop nor Ended since
	rival     uint64       // highest that was told of
	sight     area.Instant // since when somebody has an uplink, while this member leads in a direct area; Never: nobody has
	barred    bool         // it cannot lead at all
	unfit     area.Instant // until then
	hubLed    area.Instant // until then
	ranked    bool         // in this step
	first     area.DeviceID
	firstFrom area.Instant // since when it is the first
	lostFrom  area.Instant // since when the part of a local area has no leader; Never: it has one
	openFrom  area.Instant // nobody leads before

	askFrom area.Instant // since when the hub is asked; Never: it is not
	askNext area.Instant
	answer  Witness
	answerd area.Instant // when the newest answer came; Never: none did since askFrom

	next area.Instant
	out  []Action
}

// New makes the election of a device, which turns to the hub until it is told
// more.
func New(self area.DeviceID) *Election {
	return &Election{self: Member{Device: self}, shunned: map[area.DeviceID]area.Instant{}, unlinked: area.Never,
		sight: area.Never, lostFrom: area.Never, askFrom: area.Never, answerd: area.Never, next: area.Never}
}

// Self is what the others are to be told of this member.
func (e *Election) Self() Member { return e.self }

// Aim is where the device turns to.
func (e *Election) Aim() Aim { return e.aim }

// Leading tells whether this member leads, or is about to.
func (e *Election) Leading() bool { return e.leading }

// Reaches tells whether this part reaches the hub.
func (e *Election) Reaches() bool {
	return e.uplink || slices.ContainsFunc(e.others, func(m Member) bool { return m.Uplink })
}

// Next is when [Tick] is due; Never: not before another event.
func (e *Election) Next() area.Instant { return e.next }

// Step takes in an event and answers what is to be done, in this order; the answer
// is good until the next call.
func (e *Election) Step(ev Event, now area.Instant) []Action {
	e.out, e.next = e.out[:0], area.Never
	switch ev := ev.(type) {
	case Roster:
		e.listed(ev, now)
	case Seen:
		e.seen(ev)
	case Uplink:
		e.uplink = ev.Up
	case Linked:
		e.link(ev.Up, now)
	case Witness:
		e.witnessed(ev, now)
	case Heard:
		e.heard(ev.Term)
	case Ready:
		if e.leading {
			e.self.Term = ev.Term
			e.heard(ev.Term)
		}
	case Ended:
		e.ended(ev, now)
	case Able:
		e.barred = !ev.Can
	}
	e.decide(now)
	return e.out
}

func (e *Election) say(a Action) { e.out = append(e.out, a) }

// due has [Tick] come at t.
func (e *Election) due(t area.Instant) { e.next = min(e.next, t) }

func (e *Election) listed(r Roster, now area.Instant) {
	if r.Member && !e.roster.Member {
		e.openFrom = now.Add(Start)
	}
	e.roster, e.self.Priority = r, r.Priority
}

func (e *Election) seen(s Seen) {
	e.others = nil
	for _, m := range s.Others {
		at, _ := slices.BinarySearchFunc(e.others, m, func(a, b Member) int { return compare(a.Device, b.Device) })
		e.others = slices.Insert(e.others, at, m)
		e.heard(max(m.Term, m.Highest))
	}
}

func (e *Election) heard(term uint64) { e.self.Highest = max(e.self.Highest, term) }

func (e *Election) link(up bool, now area.Instant) {
	e.linked = up
	if up {
		e.unlinked = area.Never
		delete(e.shunned, e.aim.Member)
	} else if e.unlinked == area.Never {
		e.unlinked = now
	}
}

func (e *Election) witnessed(w Witness, now area.Instant) {
	e.heard(w.Term)
	if e.askFrom == area.Never {
		return
	}
	if w.Leader == e.self.Device { // the start before this one
		w.Live = false
	}
	e.answer, e.answerd = w, now
}

func (e *Election) ended(ev Ended, now area.Instant) {
	if !e.leading {
		return
	}
	e.noLonger()
	if ev.HubLeads {
		e.hubLed = now.Add(hubLedFor)
	} else {
		e.unfit = now.Add(unfitFor)
	}
}

// noLonger forgets a reign.
func (e *Election) noLonger() {
	e.leading, e.self.Term, e.rival, e.sight = false, 0, 0, area.Never
	e.first = "" // the window begins anew
}

func (e *Election) stop() {
	if e.leading {
		e.noLonger()
		e.say(Stop{})
	}
}

// decide brings what the member does into line with what it sees.
func (e *Election) decide(now area.Instant) {
	e.self.Uplink = e.uplink
	e.self.Unfit = e.barred || now < e.unfit
	if now < e.unfit {
		e.due(e.unfit)
	}
	if !e.roster.Member {
		e.stop()
		e.askNoMore()
		e.turn(Aim{To: Hub}, now)
		return
	}
	e.meet()
	e.ranked = false
	if e.roster.Topology == area.TopologyLocal {
		e.local(now)
	} else {
		e.askNoMore()
		e.direct(now)
	}
	if !e.ranked { // nobody is looked for: the next time the window begins anew
		e.first = ""
	}
}

// meet settles it with other leaders in this part: the lower term stops. Who has
// not begun yet leaves it to who has.
func (e *Election) meet() {
	other, ok := e.leader()
	if !ok || !e.leading {
		return
	}
	if other.Term > e.self.Term {
		e.stop()
	} else if other.Term > e.rival {
		e.rival = other.Term
		e.say(Rival{Term: other.Term})
	}
}

// leader is the other member that leads by the highest term.
func (e *Election) leader() (best Member, ok bool) {
	for _, m := range e.others {
		if m.leads() && m.Term > best.Term {
			best, ok = m, true
		}
	}
	return best, ok
}

// direct is the area whose arbiter is the hub's.
func (e *Election) direct(now area.Instant) {
	if e.uplink {
		e.stop()
		e.turn(Aim{To: Hub}, now)
		return
	}
	carrier, carried := e.carrier(now, func(m Member) bool { return m.Uplink })
	hubLeads := now < e.hubLed
	switch {
	case hubLeads:
		e.stop()
		e.due(e.hubLed)
	case e.leading:
		e.inSight(carried, now)
	}
	other, led := e.leader()
	switch {
	case e.leading:
		e.turnToSelf(now)
	case hubLeads && !carried: // who carried the word of the hub will be seen
		e.turn(Aim{To: Hub}, now)
	case carried:
		e.turn(Aim{To: Via, Member: carrier}, now)
	case led:
		e.turn(Aim{To: Leader, Member: other.Device}, now)
	default:
		e.elect(true, now)
	}
}

// inSight stops a leader that has seen somebody's uplink for [Sight].
func (e *Election) inSight(carried bool, now area.Instant) {
	switch {
	case !carried:
		e.sight = area.Never
	case e.sight == area.Never:
		e.sight = now
		e.due(now.Add(Sight))
	case now >= e.sight.Add(Sight):
		e.stop()
	default:
		e.due(e.sight.Add(Sight))
	}
}

// rank finds the member that is to lead; where it is another than before the
// window begins. Empty: nobody can.
func (e *Election) rank(now area.Instant) area.DeviceID {
	var best Member
	for _, m := range append([]Member{e.self}, e.others...) {
		if !m.Unfit && (best.Device == "" || m.before(best)) {
			best = m
		}
	}
	e.ranked = true
	if best.Device != e.first {
		e.first, e.firstFrom = best.Device, now
	}
	return best.Device
}

// elect has this member lead where it has been the first for long enough, and
// free is true: nothing else is to be waited for.
func (e *Election) elect(free bool, now area.Instant) {
	if e.rank(now) != e.self.Device {
		return
	}
	from := max(e.firstFrom.Add(Window), e.openFrom, e.hubLed)
	if now < from {
		e.due(from)
		return
	}
	if !free {
		return
	}
	e.leading = true
	e.askNoMore()
	e.say(Lead{Above: e.self.Highest})
}

// turnToSelf has the device turn to itself, once it accepts.
func (e *Election) turnToSelf(now area.Instant) {
	if e.leading && e.self.leads() {
		e.turn(Aim{To: Leader, Member: e.self.Device}, now)
	}
}
