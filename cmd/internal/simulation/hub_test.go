package simulation

import (
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/turn"
	"github.com/tacet-hub/tacet/firmware/leader/election"
)

const (
	liveFor  = 3 * time.Second  // a leader counts as heard
	takeOver = 30 * time.Second // after which the hub takes an area back, or longer
)

// hub is the hub's desk of the area: its own core, or the mirror of a leader's.
type hub struct {
	w      *world
	broker broker
	alive  bool
	vacant bool // it is several nodes, and none of them has the area
	index  uint64
	life   int
	clock  clock
	arb    *arb // nil: a leader has the area

	// On its disk.
	record  []byte
	highest uint64
	leader  *member // whom it follows; nil: nobody

	lifeOf   int // the leader's start
	leadTerm uint64
	since    int64 // when it began to follow
	heard    int64
	leadLife time.Duration // longest life of a lease of the leader's
	yielded  int64         // when its own core stopped
	rival    int64         // until then a lease of a leader that was refused may live
	ownLife  time.Duration // longest life of a lease of that one

	before node // that had the area
}

// led is what the hub says to a lead.
type led struct {
	term    uint64
	refused string
	settle  time.Duration // a lease of the hub's may live for so long
	since   time.Duration // how long it has followed
}

func (w *world) newHub() *hub {
	h := &hub{w: w, index: 1}
	h.broker = broker{name: "hub-1", claim: h.claim, arb: h.listens, vote: func(m *member, v area.Vote) {
		if h.arb != nil {
			h.arb.voted(m, v)
		}
	}}
	return h
}

func (h *hub) start() {
	if h.alive {
		return
	}
	h.alive = true
	h.w.log("hub starts")
	h.begin()
}

// begin begins with what is on the disk, or in the ledger of the nodes.
func (h *hub) begin() {
	h.vacant, h.life, h.clock, h.arb = false, h.life+1, h.w.newClock(), nil
	if h.leader == nil {
		h.arbitrate(0)
	} else { // it still knows that a leader has the area
		h.heard, h.since, h.yielded, h.ownLife = h.w.now, h.w.now, h.w.now, 0
	}
	h.w.changed()
	h.tick(h.life)
}

func (h *hub) crash() {
	if !h.alive || h.w.calm {
		return
	}
	h.vacant = false
	w := h.w
	w.r.hubCrashes++
	w.log("hub crashes")
	h.alive = false
	if h.arb != nil {
		h.arb.end()
	}
	for _, m := range slices.Clone(h.broker.links) {
		if w.rng.IntN(2) == 0 {
			w.in(w.upTo(500*time.Millisecond), func() {
				if m.link != nil && m.link.to == &h.broker {
					m.again()
				}
			})
		}
	}
	down := w.upTo(8 * time.Second)
	if w.rng.IntN(3) == 0 {
		down = w.upTo(time.Minute)
	}
	w.in(down, h.start)
}

// arbitrate begins a reign of the hub's own; a leader before it may have granted
// leases that live for so long.
func (h *hub) arbitrate(settle time.Duration) {
	h.arb = h.w.newArb("hub-1", h.index, h.highest, true, h.clock, &h.record)
	a := h.arb
	a.broker = &h.broker
	a.report = func(r area.Report) { h.own(a, r) }
	a.begun = func(term uint64) { h.highest = max(h.highest, term) }
	a.step(arbiter.Begin{})
	a.step(arbiter.Inherit{Settle: settle})
	for _, m := range h.broker.links {
		a.step(arbiter.DeviceUp{Device: m.id})
	}
	h.takeAll()
}

// listens is the arbiter that hears who is at the hub: its own, or over the trunk
// that of the leader.
func (h *hub) listens() *arb {
	switch {
	case !h.alive, h.vacant:
		return nil
	case h.arb != nil:
		return h.arb
	case h.leader != nil && h.leader.arb != nil && h.leader.trunk():
		return h.leader.arb
	}
	return nil
}

func (h *hub) claim(m *member, c area.Claim) {
	if !h.alive {
		return
	}
	if h.vacant {
		h.wait(m, c)
		return
	}
	if h.arb != nil {
		h.arb.step(arbiter.Heard{Device: m.id, Claim: c})
		return
	}
	by := h.leader // over the trunk
	if by.arb == nil || !by.trunk() {
		return
	}
	a := by.arb
	h.w.in(2*h.w.delay(), func() {
		if by.arb == a && by.trunk() {
			a.step(arbiter.Heard{Device: m.id, Claim: c})
		}
	})
}

// carry says the leader's answer to a device of the hub's.
func (h *hub) carry(s arbiter.Say) {
	for _, m := range slices.Clone(h.broker.links) {
		if m.id == s.Device {
			m.receive(func() { m.step(turn.Heard{Answer: s.Answer}) })
		}
	}
}

// hold holds a work of the leader's out to the hub's devices.
func (h *hub) hold(o arbiter.HoldOut) {
	for _, m := range slices.Clone(h.broker.links) {
		if o.Device == "" || o.Device == m.id {
			m.receive(func() { m.offered(o.Offer) })
		}
	}
}

// introduce tells a leader who is at the hub.
func (h *hub) introduce() {
	m, a := h.leader, h.leader.arb
	for _, d := range h.broker.links {
		h.w.in(2*h.w.delay(), func() {
			if m.arb == a && m.trunk() && d.link != nil && d.link.to == &h.broker {
				a.step(arbiter.DeviceUp{Device: d.id})
			}
		})
	}
}

// lead hears that a member leads.
func (h *hub) lead(m *member, term uint64, alive time.Duration) led {
	w := h.w
	if h.late(m) {
		return led{term: h.highest, since: time.Duration(w.now - h.before.since)}
	}
	if !h.alive || h.vacant {
		return led{}
	}
	seen := h.highest
	if h.arb != nil {
		seen = max(seen, h.arb.core.Term())
	}
	same := h.leader == m && h.lifeOf == m.life && h.arb == nil
	switch {
	case w.topology == area.TopologyDirect:
		return led{term: seen, refused: area.TrunkHubLeads}
	case same && term >= seen || term > seen || w.bug.twoBridges:
	case !same && h.arb == nil && w.now-h.heard < int64(liveFor):
		h.rival = max(h.rival, w.now+int64(alive)) // the higher one settles
		return led{term: seen, refused: area.TrunkOtherLeads}
	default:
		return led{term: seen, refused: area.TrunkTermLow}
	}
	h.highest = max(h.highest, term)
	var left []arbiter.Submit
	if h.arb != nil {
		w.log("hub yields to %s", m.id)
		y := h.arb.core.Yield(h.arb.now())
		h.record, h.ownLife, h.yielded = y.Record, y.Alive, w.now
		left = y.Works
		h.arb.end()
		h.arb = nil
	}
	if !same {
		h.since = w.now
	}
	h.leader, h.lifeOf, h.heard, h.leadLife = m, m.life, w.now, alive
	if !same || term > h.leadTerm { // another reign, whose arbiter knows of nothing
		h.handAll(left)
		h.introduce()
	}
	h.leadTerm = term
	return led{term: h.highest, settle: max(0, h.ownLife-time.Duration(w.now-h.yielded), time.Duration(h.rival-w.now)), since: time.Duration(w.now - h.since)}
}

// witness is the answer to a member that asks whether somebody leads.
func (h *hub) witness() election.Witness {
	w := election.Witness{Term: h.highest}
	if h.arb == nil && h.w.now-h.heard < int64(liveFor) && !h.w.bug.noWitness {
		w.Live, w.Leader = true, h.leader.id
	}
	return w
}

// tick takes the area back from a leader that was not heard for long.
func (h *hub) tick(life int) {
	if h.life != life || !h.alive || h.vacant {
		return
	}
	h.w.in(500*time.Millisecond, func() { h.tick(life) })
	h.hand()
	wait := max(takeOver, h.leadLife, lease+250*time.Millisecond)
	if h.arb == nil && h.w.now-h.heard >= int64(wait) {
		h.w.log("hub takes the area over")
		h.w.r.splits++
		h.leader = nil
		h.arbitrate(h.leadLife)
	}
}
