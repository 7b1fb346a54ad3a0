package arbiter

import (
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// up takes in a message of a trunk. Only members are listened to; what a leader
// alone may say, only of the leader.
func (m *mirror) up(ev up) {
	t := ev.msg
	if !ev.member {
		if t.Op == area.TrunkLead {
			m.refuse(ev.device, t, area.TrunkNotMember)
		}
		return
	}
	switch t.Op {
	case area.TrunkLead:
		m.lead(ev.device, t)
	case area.TrunkResign:
		m.resign(ev.device, t)
	case area.TrunkAsk:
		if !m.unsure() { // it asks again
			m.send(ev.device, area.Trunk{Op: area.TrunkWitness, Live: m.live(), Leader: m.leader})
		}
	case area.TrunkReport:
		m.report(ev.device, t)
	case area.TrunkRecord:
		m.line(ev.device, t)
	case area.TrunkDone:
		m.doneHere(Heard{Device: t.Device, Claim: *t.Claim}, true)
	default:
		if m.live() && ev.device == m.leader && t.Life == m.life {
			m.word(t)
		}
	}
}

// word is what the leader alone may say.
func (m *mirror) word(t area.Trunk) {
	switch t.Op {
	case area.TrunkBusy:
		if b := *t.Busy; b.Term >= m.shown.Term {
			m.term = max(m.term, b.Term)
			m.show(b, b.State)
		}
	case area.TrunkSay:
		m.do(Say{Device: t.Device, Answer: *t.Answer})
	case area.TrunkOffer:
		m.do(HoldOut{Device: t.Device, Offer: *t.Offer})
	case area.TrunkSubmitted:
		m.works.submitted(m, t)
	case area.TrunkOrder:
		m.order(t)
	case area.TrunkStatus:
		m.do(relay{leader: m.leader, topic: area.StatusTopic(t.Device), payload: t.Status.Encode(), retain: true})
	case area.TrunkTele:
		m.do(relay{leader: m.leader, topic: t.Topic, payload: t.Payload})
	case area.TrunkGone:
		m.do(departed{m.leader, t.Device, t.Reason})
	case area.TrunkPoll:
		m.do(Poll{Poll: *t.Poll})
	}
}

// lead decides whether a device has the area.
func (m *mirror) lead(d area.DeviceID, t area.Trunk) {
	same := d == m.leader && t.Life == m.life
	switch {
	case !m.local:
		m.do(toCore{HeardTerm{Term: t.Term}})
		m.whole(d, t.Term)
		m.refuse(d, t, area.TrunkHubLeads)
	case same && t.Term > m.addr.Term:
		m.anew(t)
	case same && t.Term == m.addr.Term:
		m.goesOn(t)
	case t.Term <= m.term && d != m.leader && m.live():
		m.yields = max(m.yields, m.now.Add(m.aliveOf(t))) // the higher term settles for what this one granted (§8.9)
		m.refuse(d, t, area.TrunkOtherLeads)
	case t.Term < m.term, t.Term == m.term && !(d == m.leader && m.life == ""):
		m.refuse(d, t, area.TrunkTermLow)
	default:
		m.begins(d, t)
	}
}

func (m *mirror) refuse(d area.DeviceID, t area.Trunk, why string) {
	m.counts.Refused++
	m.do(tell{newsRefused, d, t.Term})
	m.send(d, area.Trunk{Op: area.TrunkRefused, Reason: why})
}

// begins gives the area to a leader: our core yields; another leader finds out
// by its next lead.
func (m *mirror) begins(d area.DeviceID, t area.Trunk) {
	if m.leader != "" && d != m.leader {
		m.do(severed{m.leader})
		m.yields = max(m.yields, m.heard.Add(m.alive)) // what that one granted may be alive
		m.left = append(m.left, m.holds...)
	}
	first := m.leader == ""
	m.leader, m.life, m.since, m.lost, m.gave = d, t.Life, m.now, false, false
	m.counts.Leads++
	m.works.anew()
	m.do(tell{newsLed, d, t.Term})
	m.whole(d, t.Term)
	if first {
		m.asked = true
		m.do(yield{}) // goes on in yielded
	}
	m.shown = area.Busy{State: area.Settling}
	m.goesOn(t)
	if !first {
		m.sayUps()
	}
	m.kept.changed = true
}

// sayUps tells a new leader who is connected to the hub; it listens once its lead
// is accepted.
func (m *mirror) sayUps() {
	for _, id := range sortedUps(m.ups) {
		m.sayUp(m.ups[id])
	}
}

// anew hears that the leader leads by another term. It may be another reign of the
// same process, whose arbiter knows of nothing: all is handed over again, which
// does no harm where it is known.
func (m *mirror) anew(t area.Trunk) {
	m.works.anew()
	m.goesOn(t)
	m.sayUps()
}

// goesOn hears that the leader leads, and answers.
func (m *mirror) goesOn(t area.Trunk) {
	if m.lost {
		m.lost = false
		m.do(tell{newsBack, m.leader, t.Term})
	}
	m.kept.changed = m.kept.changed || t.Term > m.term
	m.heard, m.term, m.owes = m.now, max(m.term, t.Term), t.Owes
	m.count(t)
	shown := area.Leader{Term: t.Term, Host: string(m.leader), Addr: t.Addr, Web: t.Web, Mode: area.LeaderLocal, SettleMs: t.SettleMs}
	if was := m.addr; was.Term != shown.Term || was.Host != shown.Host || was.Addr != shown.Addr || was.Web != shown.Web {
		m.do(led{shown})
	}
	m.addr = shown
	m.do(serving{m.leader, t.Serves})
	if m.shown.Term < t.Term { // until its own word comes
		m.show(area.IdleBusy(m.cfg.area, t.Term, 0, m.lease()), area.Settling)
	}
	m.answer()
}

// answer accepts the lead, with what of ours may still sound.
func (m *mirror) answer() {
	if m.asked {
		return
	}
	m.down(area.Trunk{
		Op: area.TrunkLed, SinceMs: m.now.Sub(m.since).Milliseconds(), SettleMs: max(0, m.yields.Sub(m.now)).Milliseconds(), Holds: leftOf(m.left, m.now),
	})
}

// aliveOf is the longest life of a lease of who says that it leads.
func (m *mirror) aliveOf(t area.Trunk) time.Duration {
	return max(time.Duration(t.AliveMs)*time.Millisecond, m.lease())
}

// count takes the leader's holds in, and forgets those of ours that it counts.
func (m *mirror) count(t area.Trunk) {
	alive := m.aliveOf(t)
	same := func(x, y area.Hold) bool { return x.Device == y.Device && x.Kind == y.Kind && x.Token == y.Token }
	changed := len(t.Holds) != len(m.holds) || alive != m.alive
	for _, h := range t.Holds {
		m.left = slices.DeleteFunc(m.left, func(x timedHold) bool { return same(x.Hold, h) || x.Device == h.Device })
		changed = changed || !slices.ContainsFunc(m.holds, func(x timedHold) bool { return same(x.Hold, h) })
	}
	m.holds, m.alive = timed(t.Holds, m.now), alive
	m.kept.changed = m.kept.changed || changed
}

// yielded takes over what our core left.
func (m *mirror) yielded(y Yielded) {
	m.asked, m.term = false, max(m.term, y.Term)
	m.yields = m.now.Add(y.Alive)
	m.left = timed(y.Holds, m.now)
	m.works.inherit(m, y)
	m.kept.changed = true
	m.answer()
	m.sayUps()
}

// resign ends a reign in order: what has no end of its works is ours to see to.
func (m *mirror) resign(d area.DeviceID, t area.Trunk) {
	switch {
	case d == m.leader && t.Term >= m.addr.Term:
		m.gave, m.lost = true, true
		m.heard = m.now
		m.do(severed{d})
		m.do(tell{newsGave, d, t.Term})
		m.kept.changed = true
	case d != m.leader && m.leader == "":
		m.works.back(m, d)
	}
}

// line takes a line of a leader's own record in, once.
func (m *mirror) line(d area.DeviceID, t area.Trunk) {
	if last := m.got[d]; t.N > last.n || last.life != t.Life && t.N < area.SteadyN {
		m.got[d] = numbered{t.Life, t.N}
		m.do(recorded{t.Record, time.Duration(t.AgoMs) * time.Millisecond})
	}
	m.send(d, area.Trunk{Op: area.TrunkGot, N: t.N})
}
