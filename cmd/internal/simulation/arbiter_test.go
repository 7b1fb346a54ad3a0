package simulation

import (
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/turn"
	"github.com/tacet-hub/tacet/firmware/leader/election"
)

// broker is what devices connect to: the hub's, or that of a member that leads.
type broker struct {
	name  string
	links []*member
	claim func(*member, area.Claim)
	vote  func(*member, area.Vote)
	arb   func() *arb // that listens to it; nil: none now
}

// presence tells the arbiter who is there.
func (b *broker) presence(m *member, live bool) {
	a := b.arb()
	switch {
	case a == nil:
	case live:
		a.step(arbiter.DeviceUp{Device: m.id})
	default:
		a.step(arbiter.DeviceDown{Device: m.id})
	}
}

// arb is a core at work.
type arb struct {
	w      *world
	core   *arbiter.Core
	clock  clock
	broker *broker
	disk   *[]byte
	inDisk int64
	over   bool
	ready  bool // its term is durable: others may come
	wake   int64
	term   uint64

	answer func(arbiter.Say)     // to devices that are not on its broker
	report func(area.Report)     // of works
	offer  func(arbiter.HoldOut) // to devices that are not on its broker
	begun  func(term uint64)     // its term is durable, or has changed
}

func heardTerm(t uint64) arbiter.Event { return arbiter.HeardTerm{Term: t} }

// newArb makes a core from what is on the disk. Begin is the caller's.
func (w *world) newArb(name string, index, floor uint64, hub bool, c clock, disk *[]byte) *arb {
	core, err := arbiter.NewCore(arbiter.CoreConfig{Area: north, Node: name, Index: index, Floor: floor, Lease: lease,
		Strict: w.strict && !w.bug.noVotes, Seat: hub, Finish: w.finish, Others: !hub}, *disk)
	if err != nil {
		panic(err)
	}
	a := &arb{w: w, core: core, clock: c, disk: disk, answer: func(arbiter.Say) {}, offer: func(arbiter.HoldOut) {}, begun: func(uint64) {}}
	var voters []arbiter.Voter
	for _, m := range w.members {
		voters = append(voters, arbiter.Voter{Device: m.id, MID: "m-" + string(m.id)})
	}
	a.step(arbiter.Electorate{Voters: voters})
	return a
}

func (a *arb) now() area.Instant { return a.clock.at(a.w.now) }

func (a *arb) step(ev arbiter.Event) {
	if a.over {
		return
	}
	for _, act := range slices.Clone(a.core.Step(ev, a.now())) {
		a.act(act)
		if a.over {
			return
		}
	}
	if a.ready && a.core.Term() != a.term {
		a.term = a.core.Term()
		a.begun(a.term)
	}
	if next := a.core.Next(); next != area.Never {
		if at := max(a.clock.when(next), a.w.now+1); a.wake <= a.w.now || at < a.wake {
			a.wake = at
			a.w.in(time.Duration(at-a.w.now), func() {
				if a.wake == at {
					a.wake = 0
					a.step(arbiter.Tick{})
				}
			})
		}
	}
}

// end stops the core at once; what is under way to the disk may come there.
func (a *arb) end() {
	if a.over {
		return
	}
	a.over = true
	c := a.core.Counts()
	a.w.r.adoptions += c.Adoptions
	a.w.r.settlings += c.Settlings
}

func (a *arb) act(act arbiter.Action) {
	w := a.w
	switch act := act.(type) {
	case arbiter.ShowBusy:
		b := act.Busy
		if w.trace {
			w.log("%s shows %s", a.broker.name, b.Encode())
		}
		for _, m := range slices.Clone(a.broker.links) {
			m.receive(func() { m.step(turn.Lease{Lease: lease, Term: b.Term}) })
		}
	case arbiter.Say:
		a.checkToken(act)
		w.log("%s <- %s says %s claim %d ack %d token %d lease %v %s", act.Device, a.broker.name, act.Answer.Op, act.Answer.Claim, act.Answer.Ack, act.Answer.Token, act.Answer.Lease, act.Answer.Reason)
		for _, m := range slices.Clone(a.broker.links) {
			if m.id == act.Device {
				m.receive(func() { m.step(turn.Heard{Answer: act.Answer}) })
				return
			}
		}
		a.answer(act)
	case arbiter.Commit:
		at := max(a.inDisk, w.now+w.rng.Int64N(10e6))
		a.inDisk = at
		w.in(time.Duration(at-w.now), func() {
			if a.over && w.rng.IntN(2) == 0 {
				return
			}
			*a.disk = act.Record
			if first := !a.over && !a.ready; first {
				a.ready, a.term = true, a.core.Term()
				a.begun(a.term)
			}
			a.step(arbiter.Committed{Seq: act.Seq})
		})
	case arbiter.HoldOut:
		for _, m := range slices.Clone(a.broker.links) {
			if act.Device == "" || act.Device == m.id {
				m.receive(func() { m.offered(act.Offer) })
			}
		}
		a.offer(act)
	case arbiter.Report:
		w.log("%s reports %s %s %s att %d %s", a.broker.name, act.Report.Work, act.Report.State, act.Report.Device, act.Report.Att, act.Report.Reason)
		a.report(act.Report)
	case arbiter.Poll:
		for _, m := range slices.Clone(a.broker.links) {
			m.receive(func() { m.polled(act.Poll) })
		}
	case arbiter.Disconnect:
		for _, m := range slices.Clone(a.broker.links) {
			if m.id == act.Device {
				m.again()
			}
		}
	}
}

// checkToken: a token is one claim's.
func (a *arb) checkToken(s arbiter.Say) {
	if s.Answer.Op != area.OpGrant {
		return
	}
	is := tokenOf{s.Device, s.Answer.Claim, s.Answer.Boot}
	if had, ok := a.w.tokens[s.Answer.Token]; ok && had != is {
		a.w.bad(&a.w.r.doubleTokens, "token %d is two claims'", s.Answer.Token)
	}
	a.w.tokens[s.Answer.Token] = is
}

// voted counts a vote.
func (a *arb) voted(m *member, v area.Vote) {
	a.step(arbiter.Voted{Device: m.id, Vote: v})
}

// lead begins a reign of the member.
func (m *member) lead() {
	w := m.w
	a := w.newArb(string(m.id), area.FirstMember+uint64(m.i), m.highest, false, m.clock, &m.record)
	a.broker = &broker{name: string(m.id),
		claim: func(from *member, c area.Claim) { a.step(arbiter.Heard{Device: from.id, Claim: c}) },
		vote:  a.voted,
		arb:   func() *arb { return a }}
	a.report = m.reported
	a.begun = func(term uint64) {
		w.log("%s leads by term %d", m.id, term)
		m.highest = max(m.highest, term)
		m.soon(0, func() {
			if m.arb == a {
				m.decide(election.Ready{Term: term})
			}
		})
	}
	a.answer = func(s arbiter.Say) { // over the trunk, to a device of the hub's
		if m.trunk() {
			w.in(2*w.delay(), func() {
				if m.arb == a && m.trunk() && w.hub.leader == m {
					w.hub.carry(s)
				}
			})
		}
	}
	a.offer = func(o arbiter.HoldOut) {
		if m.trunk() {
			w.in(2*w.delay(), func() {
				if m.arb == a && m.trunk() && w.hub.leader == m {
					w.hub.hold(o)
				}
			})
		}
	}
	m.arb = a
	a.step(arbiter.Begin{})
	m.speakUp(a)
}

// reignEnds stops the member's arbiter, at once.
func (m *member) reignEnds() {
	m.rule++
	a := m.arb
	if a == nil {
		return
	}
	m.w.log("%s leads no more", m.id)
	m.arb = nil
	a.end()
	for _, o := range slices.Clone(a.broker.links) {
		m.w.in(m.w.upTo(100*time.Millisecond), func() { // its socket is closed
			if o.link != nil && o.link.to == a.broker {
				o.again()
			}
		})
	}
}

// trunk tells whether the leader can speak to the hub: by its own uplink, or
// through a member of its part.
func (m *member) trunk() bool {
	return m.w.reaches(m) || m.alive && slices.ContainsFunc(m.w.members, func(o *member) bool { return joined(m, o) && m.w.reaches(o) })
}

// speakUp has a leader tell the hub each second that it leads.
func (m *member) speakUp(a *arb) {
	if m.arb != a {
		return
	}
	m.soon(time.Second, func() { m.speakUp(a) })
	if !a.ready || !m.trunk() {
		return
	}
	term, said, alive := a.core.Term(), a.now(), a.core.Alive()
	m.w.in(m.w.delay(), func() {
		if m.arb != a || !m.trunk() {
			return
		}
		led := m.w.hub.lead(m, term, alive)
		m.soon(m.w.delay(), func() {
			if m.arb == a && m.trunk() {
				m.answered(a, led, said)
			}
		})
	})
}

// answered takes in what the hub says to a lead.
func (m *member) answered(a *arb, l led, said area.Instant) {
	m.highest = max(m.highest, l.term)
	m.decide(election.Heard{Term: l.term})
	switch {
	case l.refused == "":
		a.step(arbiter.Inherit{Settle: l.settle})
		a.step(arbiter.Seconded{Said: said, Since: l.since})
	case l.refused == area.TrunkTermLow:
		a.step(heardTerm(l.term))
	default:
		m.reignEnds()
		m.decide(election.Ended{HubLeads: true})
	}
}
