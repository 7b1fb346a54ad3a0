package simulation

import (
	"fmt"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/turn"
	"github.com/tacet-hub/tacet/firmware/leader/election"
)

// member is a device of the area that may lead it.
type member struct {
	w     *world
	i     int
	id    area.DeviceID
	clock clock
	part  int
	cable bool // of its uplink
	alive bool
	life  int // number of the start

	// On its disk.
	boot    uint64
	highest uint64 // term
	record  []byte // of its arbiter

	turn     *turn.Turn
	ballot   *turn.Ballot
	elect    *election.Election
	sees     map[*member]election.Member
	told     election.Member
	uplink   bool  // as it knows
	wrong    int64 // until then it took itself, or was taken, to have an uplink
	wake     int64 // of the turn
	think    int64 // of the election
	sounding bool
	plays    uint64
	waiting  int64 // since; 0: it does not wait
	wishes   bool  // it is about to
	wish     time.Duration

	link *link // to an arbiter's broker; nil: none
	aims int   // number of the newest aim
	arb  *arb  // while it leads
	rule int   // number of the newest reign
}

// link is a connection of a device.
type link struct {
	to   *broker
	path election.Aim
	gone bool
}

func (w *world) newMember(i int) *member {
	return &member{w: w, i: i, id: area.DeviceID(fmt.Sprint("d", i)), cable: true}
}

func (m *member) now() area.Instant { return m.clock.at(m.w.now) }

func (m *member) start() {
	if m.alive {
		return
	}
	w := m.w
	m.alive, m.life, m.clock = true, m.life+1, w.newClock()
	m.boot++
	m.wake, m.think, m.waiting, m.wishes, m.told = 0, 0, 0, false, election.Member{}
	m.turn = turn.New(turn.Config{Area: north, Device: m.id, MID: "m-" + string(m.id), Boot: m.boot, Term: m.highest, Lease: lease, Nonce: func() string {
		w.nonces++
		return fmt.Sprint("n", w.nonces)
	}})
	m.ballot = turn.NewBallot("m-"+string(m.id), m.now())
	m.elect, m.sees, m.uplink = election.New(m.id), map[*member]election.Member{}, false
	w.log("%s starts, boot %d", m.id, m.boot)
	m.decide(election.Heard{Term: m.highest})
	m.decide(election.Roster{Topology: w.topology, Member: true})
	w.changed()
	m.connectIn(w.upTo(200 * time.Millisecond))
	m.wishIn(w.upTo(time.Second))
}

func (m *member) crash() {
	if !m.alive {
		return
	}
	w := m.w
	w.r.crashes++
	w.log("%s crashes", m.id)
	m.reignEnds()
	m.drop()
	m.alive, m.turn, m.elect, m.waiting, m.uplink = false, nil, nil, 0, false
	if m.sounding { // at most a buffer of it goes on
		m.plays++
		m.silentIn(w.upTo(50*time.Millisecond), area.Played)
	}
	w.in(200*time.Millisecond+w.upTo(8*time.Second), m.start)
}

// soon has f done, unless the process has ended by then.
func (m *member) soon(d time.Duration, f func()) {
	life := m.life
	m.w.in(d, func() {
		if m.alive && m.life == life {
			f()
		}
	})
}

// The network, as the member finds out about it.

func (m *member) feelUplink() {
	if !m.alive {
		return
	}
	is := m.w.reaches(m)
	if is == m.uplink {
		return
	}
	d := m.w.upTo(found)
	if !is {
		d = 5*time.Second + m.w.upTo(lost-5*time.Second)
	}
	m.soon(d, func() {
		if m.w.reaches(m) == is && m.uplink != is {
			m.uplink = is
			if !is {
				m.wrong = m.w.now + int64(gossip) // the others still think so
			}
			m.decide(election.Uplink{Up: is})
		}
	})
}

// mistaken is when a member last took itself to have an uplink that was gone: who
// turns to the hub through it does not reach it, although he sees it (§8.21).
func (w *world) mistaken() (at int64) {
	for _, m := range w.members {
		if m.alive && m.uplink && !w.reaches(m) {
			return w.now
		}
		at = max(at, m.wrong)
	}
	return at
}

func (m *member) look(o *member) {
	if !m.alive {
		return
	}
	_, sees := m.sees[o]
	if is := joined(m, o); is != sees {
		d := join/10 + m.w.upTo(join*9/10)
		if !is {
			d = detect/2 + m.w.upTo(detect/2)
		}
		life := o.life
		m.soon(d, func() {
			switch {
			case joined(m, o) != is || is && o.life != life:
			case is:
				m.hear(o, o.elect.Self())
			default:
				delete(m.sees, o)
				m.seen()
			}
		})
	}
}

func (m *member) hear(o *member, self election.Member) {
	if m.w.bug.uplinkLeads {
		self.Uplink = false
	}
	m.sees[o] = self
	m.seen()
}

func (m *member) seen() {
	var list []election.Member
	for _, o := range m.w.members {
		if is, ok := m.sees[o]; ok {
			list = append(list, is)
		}
	}
	m.decide(election.Seen{Others: list})
}

// decide steps the election.
func (m *member) decide(ev election.Event) {
	for _, a := range slices.Clone(m.elect.Step(ev, m.now())) {
		switch a := a.(type) {
		case election.Aim:
			m.w.log("%s aims at %s %s", m.id, a.To, a.Member)
			m.aims++
			m.drop()
			m.connectIn(200*time.Millisecond + m.w.upTo(300*time.Millisecond))
		case election.Lead:
			m.rule++
			rule := m.rule
			m.highest = max(m.highest, a.Above)
			m.soon(m.w.upTo(begins), func() {
				if m.rule == rule && m.arb == nil {
					m.lead()
				}
			})
		case election.Stop:
			m.reignEnds()
		case election.Ask:
			m.ask()
		case election.Rival:
			if m.arb != nil {
				m.arb.step(heardTerm(a.Term))
			}
		}
	}
	m.highest = max(m.highest, m.elect.Self().Highest)
	if self := m.elect.Self(); self != m.told {
		m.told = self
		m.tell(self)
	}
	if next := m.elect.Next(); next != area.Never {
		if at := max(m.clock.when(next), m.w.now+1000); m.think <= m.w.now || at < m.think {
			m.think = at
			m.soon(time.Duration(at-m.w.now), func() {
				if m.think == at {
					m.think = 0
					m.decide(election.Tick{})
				}
			})
		}
	}
}

// tell has the others hear what the member says of itself.
func (m *member) tell(self election.Member) {
	life := m.life
	for _, o := range m.w.members {
		if o == m || !o.alive {
			continue
		}
		o.soon(m.w.upTo(gossip), func() {
			if _, sees := o.sees[m]; sees && joined(m, o) && m.life == life {
				o.hear(m, self)
			}
		})
	}
}

// ask asks the hub whether it hears a leader.
func (m *member) ask() {
	if !m.w.reaches(m) {
		return
	}
	m.soon(2*m.w.delay(), func() {
		if m.w.reaches(m) {
			m.decide(m.w.hub.witness())
		}
	})
}

// The connection.

// holds tells whether a path to an arbiter's broker stands, and to which.
func (m *member) holds(p election.Aim) *broker {
	switch p.To {
	case election.Via:
		by := m.w.find(p.Member)
		if joined(m, by) && m.w.reaches(by) {
			return &m.w.hub.broker
		}
	case election.Leader:
		by := m.w.find(p.Member)
		if joined(m, by) && by.arb != nil && by.arb.ready {
			return by.arb.broker
		}
	default:
		if m.w.reaches(m) {
			return &m.w.hub.broker
		}
	}
	return nil
}

func (w *world) find(d area.DeviceID) *member {
	for _, m := range w.members {
		if m.id == d {
			return m
		}
	}
	panic("no member " + d)
}

func (m *member) connectIn(d time.Duration) {
	aims := m.aims
	m.soon(d, func() {
		if m.aims != aims || m.link != nil {
			return
		}
		p := m.elect.Aim()
		to := m.holds(p)
		if to == nil {
			m.connectIn(500 * time.Millisecond)
			return
		}
		m.link = &link{to: to, path: p}
		to.links = append(to.links, m)
		m.w.log("%s is connected to %s", m.id, to.name)
		m.decide(election.Linked{Up: true})
		if m.link != nil {
			m.step(turn.Up{})
		}
	})
}

// drop ends the connection, if there is one.
func (m *member) drop() {
	if m.link == nil {
		return
	}
	to := m.link.to
	to.links = slices.DeleteFunc(to.links, func(o *member) bool { return o == m })
	m.link.gone, m.link = true, nil
	if m.alive && m.turn != nil {
		m.step(turn.Down{})
		m.soon(0, func() { m.decide(election.Linked{Up: m.link != nil}) })
	}
}

func (m *member) again() {
	m.drop()
	m.connectIn(200*time.Millisecond + m.w.upTo(300*time.Millisecond))
}

// feelConnection finds out after a while that the way is gone.
func (m *member) feelConnection() {
	l := m.link
	if l == nil || m.holds(l.path) == l.to {
		return
	}
	m.soon(m.w.upTo(8*time.Second), func() {
		if m.link == l && m.holds(l.path) != l.to {
			m.again()
		}
	})
}

// send carries something to the arbiter's broker, if the way holds when it is sent
// and when it comes.
func (m *member) send(deliver func(*broker)) {
	l := m.link
	if l == nil || m.holds(l.path) != l.to {
		return
	}
	m.w.in(m.w.delay(), func() {
		if !l.gone && m.holds(l.path) == l.to {
			deliver(l.to)
		}
	})
}

// receive carries something to the device over its connection.
func (m *member) receive(deliver func()) {
	l := m.link
	if l == nil || m.holds(l.path) != l.to {
		return
	}
	m.soon(m.w.delay(), func() {
		if !l.gone && m.holds(l.path) == l.to {
			deliver()
		}
	})
}

// The turn.

func (m *member) step(ev turn.Event) {
	if m.turn == nil {
		return
	}
	life := m.life
	for _, a := range slices.Clone(m.turn.Step(ev, m.now())) {
		m.act(a)
		if m.life != life || !m.alive {
			return
		}
	}
	m.highest = max(m.highest, m.turn.Term())
	if next := m.turn.Next(); next != area.Never {
		if at := max(m.clock.when(next), m.w.now); m.wake <= m.w.now || at < m.wake {
			m.wake = at
			m.soon(time.Duration(at-m.w.now), func() {
				if m.wake == at {
					m.wake = 0
					m.step(turn.Tick{})
				}
			})
		}
	}
	m.w.watch()
}

func (m *member) act(a turn.Action) {
	switch a := a.(type) {
	case turn.Send:
		c := a.Claim
		m.w.log("%s -> %s boot %d claim %d seq %d playing %v token %d", m.id, c.Op, c.Boot, c.Claim, c.Seq, c.Playing, c.Token)
		if m.w.bug.newcomers {
			c.Term, c.From = 0, nil
		}
		m.send(func(b *broker) { b.claim(m, c) })
	case turn.Start:
		m.plays++
		m.waiting = 0
		m.sounds()
		m.silentIn(m.wish, area.Played)
	case turn.Stop:
		if !m.sounding {
			return
		}
		m.plays++
		in := time.Duration(0)
		if a.Within > 0 {
			in = min(m.w.upTo(a.Within), max(0, time.Duration(m.clock.when(m.turn.Deadline())-m.w.now)))
		}
		m.silentIn(in+m.w.upTo(tail)*99/100, a.Result)
	case turn.Free:
		m.waiting = 0
		m.wishIn(m.thinks())
	case turn.Booted:
		m.boot = a.Boot
	case turn.Deaf:
		m.soon(0, m.again)
	}
}

func (m *member) thinks() time.Duration {
	if m.w.calm {
		return 3*time.Second + m.w.upTo(10*time.Second)
	}
	return m.w.upTo(600 * time.Millisecond)
}

// wishIn has the device want to sound after a while.
func (m *member) wishIn(d time.Duration) {
	if m.wishes {
		return
	}
	m.wishes = true
	m.soon(d, func() {
		m.wishes = false
		if m.turn.Phase() != turn.Idle {
			return
		}
		w := turn.Wish{Prio: area.Normal, Dur: 100*time.Millisecond + m.w.upTo(1500*time.Millisecond)}
		switch {
		case m.w.rng.IntN(40) == 0:
			w.Prio = area.Emergency
		case !m.w.calm && m.w.rng.IntN(5) == 0: // longer than a lease
			w.Dur = 2*time.Second + m.w.upTo(14*time.Second)
		}
		m.wish, m.waiting = w.Dur, m.w.now
		m.step(w)
	})
}

// sounds checks the one rule: nobody else sounds in the part of the area.
func (m *member) sounds() {
	w := m.w
	m.sounding = true
	w.lastLoud = w.now
	for _, o := range w.members {
		if o == m || !o.sounding {
			continue
		}
		since := w.together[m.i][o.i]
		one := o.alive && since != never && w.now-since > int64(healed)
		switch {
		case w.strict:
			w.bad(&w.r.overlaps, "%s sounds beside %s", m.id, o.id)
		case one && w.now-w.mistaken() <= int64(healed):
			w.r.mistaken++
		case one:
			w.bad(&w.r.overlaps, "%s sounds beside %s, %v after they were one part", m.id, o.id, time.Duration(w.now-since))
		default:
			w.r.parted++
		}
	}
	w.log("%s sounds", m.id)
	if w.r.handOvers++; w.r.handOvers == w.goal {
		w.in(0, w.calmDown)
	}
}

func (m *member) silentIn(d time.Duration, r area.Result) {
	plays := m.plays
	m.w.in(d, func() {
		if m.plays != plays || !m.sounding {
			return
		}
		m.sounding = false
		m.w.lastLoud = m.w.now
		m.w.log("%s is silent: %s", m.id, r)
		if m.alive {
			m.step(turn.Over{Result: r})
		}
	})
}

// polled votes, if the ballot allows it.
func (m *member) polled(p area.Poll) {
	v, ok := m.ballot.Poll(p, m.now())
	if !ok {
		return
	}
	m.send(func(b *broker) { b.vote(m, v) })
}
