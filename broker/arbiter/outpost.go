package arbiter

import (
	"bytes"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/reign"
)

const (
	joinEvery   = 500 * time.Millisecond // an outpost says that it is there, and what it shows
	ownerSilent = 2 * time.Second        // without a word of the owner nothing is handed to him
)

// outpost is an area at a node that does not have it: what its devices say goes to
// the node that has, the owner, and what the owner's arbiter says is published here.
// It is a pure state machine. While nobody has the area, or the owner is silent, a
// device that wants the area is told to wait, as while an arbiter settles.
type outpost struct {
	area  area.Name
	self  string // name of this node
	hub   string // name of all nodes together
	lease time.Duration

	now   area.Instant
	out   []Action
	works errands

	owner string // node; empty: nobody, as far as is known
	life  string // of its process
	term  uint64 // of the newest reign that was heard of
	heard area.Instant
	joins area.Instant // the next join is due
	lost  bool         // the owner is silent, and that was shown
	below string       // node that may have the area by a term below one that was heard of

	holds  postHolds
	played hearsay   // until the next owner knows
	lead   area.Lead // who arbitrates, by the owner's newest word; Term 0: none has said
	led    []byte    // what he remembers of a device that leads (mirror.gist); empty: none does
	shown  area.Busy // newest state that was shown
	rev    uint64
}

// Actions of an outpost, beside those of core and mirror.
type (
	// toOwner: send the word to the node that has the area.
	toOwner struct{ word word }
	// spoken: publish what the owner's arbiter says, in its order.
	spoken struct{ list []posted }
)

func (toOwner) action() {}
func (spoken) action()  {}

// Events of a desk where there are several nodes, beside those of core and mirror.
type (
	// reigned: the ledger's word on who has the area.
	reigned struct{ reign.State }
	// told: a word of another node.
	told struct {
		from string
		word word
	}
	// nodesLive: the nodes that live.
	nodesLive struct{ names []string }
	// gaveUp: the reign that was given up is over in the ledger too, or is not known to be.
	gaveUp struct{ err error }
)

func (reigned) event()   {}
func (told) event()      {}
func (nodesLive) event() {}
func (gaveUp) event()    {}

// step takes an event in and answers what to do, in order; the slice is valid until
// the next step.
func (o *outpost) step(ev Event, now area.Instant) []Action {
	o.out, o.now = o.out[:0], now
	switch ev := ev.(type) {
	case reigned:
		o.below = ""
		o.follow(ev.State)
	case told:
		o.told(ev)
	case nodesLive:
		if o.owner != "" && !slices.Contains(ev.names, o.owner) {
			o.heard = min(o.heard, o.now.Add(-ownerSilent))
		}
	case Begin:
		o.settles()
	case Configure:
		o.lease = ev.Config.filled().Lease
	default:
		o.here(ev)
	}
	o.watch()
	o.handOn()
	return o.out
}

func (o *outpost) do(a Action) { o.out = append(o.out, a) }

// live tells whether the owner is known and heard.
func (o *outpost) live() bool {
	return o.owner != "" && o.heard != 0 && o.now < o.heard.Add(ownerSilent)
}

// leads is who arbitrates the area. A silent owner's word tells who did last.
func (o *outpost) leads() area.Lead {
	l := o.lead
	l.Live = l.Live && o.live()
	return l
}

// follow takes in who has the area.
func (o *outpost) follow(s reign.State) {
	if s.Owner != "" && s.Term < o.term {
		o.below = s.Owner // a later reign was heard of
		return
	}
	o.term = max(o.term, s.Term)
	if s.Owner == o.owner && s.Life == o.life {
		if o.owner == "" { // a reign of our own is over, or nobody has the area yet
			o.settles()
		}
		return
	}
	o.owner, o.life, o.heard, o.joins, o.lost = s.Owner, s.Life, 0, 0, false
	o.lead.Live = false
	o.holds.another()
	o.works.anew()
	o.settles()
}

// settles shows that nothing is granted for now.
func (o *outpost) settles() {
	if o.shown.State == area.Settling && o.shown.Term >= o.term {
		return
	}
	b := area.IdleBusy(o.area, max(o.term, o.shown.Term), 0, o.lease)
	b.State = area.Settling
	o.show(b)
}

// show publishes a state. What is shown is numbered anew where this node had
// something to show itself: a number never goes back within a term.
func (o *outpost) show(b area.Busy) {
	b.Term = max(b.Term, o.shown.Term)
	if b.Term > o.shown.Term {
		o.rev = 0
	}
	o.rev = max(o.rev+1, b.Rev)
	b.Rev = o.rev
	o.shown = b
	o.do(mirrored{b})
}

// shows tells whether a state is shown already, under whatever number.
func (o *outpost) shows(b area.Busy) bool {
	b.Rev = o.shown.Rev
	return bytes.Equal(b.Encode(), o.shown.Encode())
}

// watch joins the owner, and notes that he has fallen silent.
func (o *outpost) watch() {
	if o.owner != "" && !o.live() && o.heard != 0 && !o.lost {
		o.lost = true
		o.works.anew()
		o.settles()
	}
	if o.owner == "" && o.below == "" || o.now < o.joins {
		return
	}
	o.joins = o.now.Add(joinEvery)
	if o.owner != "" {
		o.send(word{Join: &join{Term: o.shown.Term, Rev: o.theirs(), Holds: o.holds.leaves(o.now), Played: o.played.said()}})
	}
	if o.below != "" && !o.live() {
		o.do(toNode{o.below, word{Join: &join{Term: o.term}}})
	}
}

// theirs is the number of the owner's state that is shown; 0 where we show our own.
func (o *outpost) theirs() uint64 {
	if o.shown.State == area.Settling {
		return 0
	}
	return o.shown.Rev
}

// here takes in what is said at this node.
func (o *outpost) here(ev Event) {
	switch ev := ev.(type) {
	case Submit:
		o.works.add(ev)
	case Cancel:
		o.cancel(ev)
	case Stored:
		o.works.remove(ev.Work)
		o.say(area.Trunk{Op: area.TrunkStored, Work: ev.Work})
	case Set:
		o.holds.set(ev, o.live())
		o.say(area.Trunk{Op: area.TrunkSet, Device: ev.Device, On: ev.On, Will: ev.Will})
	case StopPlay:
		o.say(area.Trunk{Op: area.TrunkStopPlay})
	case Heard:
		o.claimed(ev)
	case Voted:
		o.raw(area.VoteTopic(o.area, ev.Device), ev.Vote.Encode(), "")
	case up:
		o.raw(area.TrunkUpTopic(ev.device), ev.msg.Encode(), ev.device)
	case command:
		o.raw(ev.m.Topic, ev.m.Payload, "")
	}
}

// claimed hands on what a device says. While there is nobody to hand it to, the device
// is told to wait, whatever it said, as it is while an arbiter settles: without an
// answer it would take its connection for dead (§8.16). Only an answer to a want says
// what it answers, since only that has nothing to be done about it but to wait.
func (o *outpost) claimed(ev Heard) {
	c := ev.Claim
	if o.live() {
		o.say(area.Trunk{Op: area.TrunkHeard, Device: ev.Device, Claim: &c, Hold: ev.Hold})
		return
	}
	o.waits(ev)
}

// waits tells a device to wait.
func (o *outpost) waits(ev Heard) {
	c := ev.Claim
	a := area.Answer{Op: area.OpQueued, Boot: c.Boot, MID: c.MID, Claim: c.Claim, Term: o.term, From: o.hub}
	switch c.Op {
	case area.OpWant:
		a.Ack = c.Seq
	case area.OpHello, area.OpTake, area.OpDone:
	default:
		return
	}
	o.do(Say{Device: ev.Device, Answer: a})
}

// cancel takes a work back. One that nobody was handed ends here.
func (o *outpost) cancel(ev Cancel) {
	one := o.works.by[ev.Work]
	if one == nil {
		return
	}
	if one.to != "" || one.ev.Given != nil || one.ev.Att > 1 {
		one.cancel = ev.Reason
		return
	}
	o.do(Report{Report: area.Report{Work: ev.Work, Area: o.area, State: area.OrderCancelled, Att: max(1, one.ev.Att), Reason: ev.Reason}})
	o.works.remove(ev.Work)
}

// say sends a word of the trunk to the owner, if he is heard.
func (o *outpost) say(t area.Trunk) {
	if !o.live() {
		return
	}
	t.Area, t.Term = o.area, o.term
	o.send(word{Say: &t})
}

// raw sends a message of our broker to the owner, if he is heard.
func (o *outpost) raw(topic string, payload []byte, from area.DeviceID) {
	if o.live() {
		o.send(word{Raw: &rawMessage{Topic: topic, Payload: payload, Device: from}})
	}
}

func (o *outpost) send(w word) { o.do(toOwner{w}) }

// handOn sends the works that the owner has not got yet.
func (o *outpost) handOn() {
	if !o.live() {
		return
	}
	for _, d := range o.holds.ended() {
		o.say(area.Trunk{Op: area.TrunkSet, Device: d})
	}
	room := mostErrands
	for _, one := range o.works.order {
		if one.over {
			continue
		}
		if one.cancel != "" && one.due(one.told, o.now) {
			one.told = o.now
			o.say(area.Trunk{Op: area.TrunkCancel, Work: one.ev.Work.ID, Reason: one.cancel})
		}
		if room == 0 || one.taken || !one.due(one.sent, o.now) {
			continue
		}
		room--
		one.to, one.sent = o.life, o.now
		o.say(area.Trunk{Op: area.TrunkSubmit, N: one.n, Handed: one.handed(o.now)})
	}
}

// told takes in a word of another node. What is said of an earlier reign is over, or
// of one that began where the ledger had forgotten the later one: then who has the
// area has to hear of that.
func (o *outpost) told(ev told) {
	w := ev.word
	if !w.Owner {
		return
	}
	if ev.from != o.owner && w.Term == o.term {
		o.late(w)
		return
	}
	if w.Term < o.term {
		o.late(w)
		if !o.live() {
			o.below = ev.from
		}
		return
	}
	if ev.from != o.owner || w.Life != o.life { // the ledger says so a little later, or never
		o.below = o.owner
		o.follow(reign.State{Owner: ev.from, Life: w.Life, Term: w.Term})
	}
	if o.lost {
		o.lost = false
		o.joins = 0
	}
	o.heard = o.now
	o.holds.heard(w.Holds, w.Joined, o.now)
	if w.Joined {
		o.played = nil
	}
	if w.Lead != nil && w.Lead.Term != 0 {
		o.lead = *w.Lead
	}
	if w.Mirror != nil {
		o.led = *w.Mirror
	}
	if t := w.Say; t != nil {
		o.answered(t)
	}
	if len(w.Out) > 0 {
		o.speak(w.Out)
	}
}

// answered takes in what the owner says of works.
func (o *outpost) answered(t *area.Trunk) {
	switch t.Op {
	case area.TrunkSubmitted:
		if one := o.works.by[t.Work]; one != nil && one.n == t.N && one.to == o.life {
			one.taken = true
		}
	case area.TrunkReport:
		r := t.Report.Report(o.area)
		o.works.note(r)
		o.do(Report{Report: r})
	}
}

// speak publishes what the owner's arbiter says; a state is numbered as ours are.
func (o *outpost) speak(list []posted) {
	rest := 0
	for i, m := range list {
		kind := area.ParseTopic(m.Topic).Kind
		if kind != area.KindBusy && kind != area.KindFlag {
			continue
		}
		o.pass(list[rest:i])
		rest = i + 1
		if b, err := area.ParseBusy(m.Payload); kind == area.KindBusy && err == nil && b.Term >= o.shown.Term && !o.shows(b) {
			o.show(b)
		}
	}
	o.pass(list[rest:])
}

func (o *outpost) pass(list []posted) {
	if len(list) > 0 {
		o.do(spoken{list})
	}
}

// next is when the next Tick is due; [area.Never] if none is.
func (o *outpost) next() area.Instant {
	if o.owner == "" {
		return area.Never
	}
	next := o.joins
	if o.heard != 0 && !o.lost {
		next = min(next, o.heard.Add(ownerSilent))
	}
	if o.live() {
		next = min(next, o.works.next())
	}
	return next
}
