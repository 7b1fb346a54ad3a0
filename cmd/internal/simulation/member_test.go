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
	played  []area.WorkID
	dues    []due

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
	recalled bool // it has told what it played before this start
	plays    uint64
	waiting  int64 // since; 0: it does not wait
	wishes   bool  // it is about to
	wish     turn.Wish
	queue    []turn.Wish // assigned orders
	aside    []turn.Wish // those that the arbiter does not know

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
	m.recalled = false
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
	m.soon(w.upTo(time.Second), m.report)
}

func (m *member) crash() {
	if !m.alive {
		return
	}
	w := m.w
	w.r.crashes++
	w.log("%s crashes", m.id)
	if m.arb != nil {
		w.leaderLost = w.now
	}
	m.reignEnds()
	m.drop()
	m.alive, m.turn, m.elect, m.waiting, m.uplink, m.queue, m.aside, m.wish = false, nil, nil, 0, false, nil, nil, turn.Wish{}
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

// unmet tells whether a leader crashed before it had to have met those with whom
// it is one part since then: what it granted they cannot know of, until it is over.
func (w *world) unmet(since int64) bool {
	return w.leaderLost-since <= int64(healed) && w.now-w.leaderLost <= int64(lease+250*time.Millisecond)
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
	if m.turn.Term() < m.elect.Self().Highest {
		m.step(turn.Lease{Term: m.elect.Self().Highest})
	}
	if self := m.elect.Self(); self != m.told {
		m.told = self
		m.tell()
		m.tellAgain(m.life, tells)
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

// tell has the others hear what the member says of itself; the newest counts.
func (m *member) tell() {
	life := m.life
	for _, o := range m.w.members {
		if o == m || !o.alive {
			continue
		}
		o.soon(m.w.upTo(gossip), func() {
			if _, sees := o.sees[m]; sees && joined(m, o) && m.life == life {
				o.hear(m, m.elect.Self())
			}
		})
	}
}

// tellAgain has the others hear it again, as long as it leads, and so often else:
// they may be cut off for less than it takes to miss somebody.
func (m *member) tellAgain(life, times int) {
	self := m.told
	m.soon(again, func() {
		if m.life == life && m.told == self && (times > 0 || self.Term != 0) {
			m.tell()
			m.tellAgain(life, times-1)
		}
	})
}

// ask asks the hub whether it hears a leader.
func (m *member) ask() {
	if !m.w.reaches(m) {
		return
	}
	m.soon(2*m.w.delay(), func() {
		if m.w.reaches(m) && !m.w.hub.vacant {
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
		to.presence(m, true)
		m.decide(election.Linked{Up: true})
		if m.link != nil {
			m.takeUp()
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
	to.presence(m, false)
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
