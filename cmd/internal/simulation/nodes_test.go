package simulation

import (
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/turn"
)

// Where the hub is several nodes its desk goes from one to another, with what is in
// their ledger; devices that are at others stay there. Package arbiter simulates the
// nodes themselves; here is what a leader sees of them.

// node is one that had the area, and stands still: it does not know yet that its reign
// is over.
type node struct {
	leader *member
	life   int
	since  int64 // it follows that one
	until  int64 // it stands still, or answers, where that rule is broken
}

// handOver ends the reign of the node that has the area; another one begins when it has
// waited for long enough.
func (h *hub) handOver() {
	w := h.w
	if !h.alive || h.vacant || w.calm {
		return
	}
	w.r.handed++
	w.log("hub: the node that has the area is gone")
	if h.arb != nil {
		h.arb.end()
	}
	h.before = node{h.leader, h.lifeOf, h.since, w.now + int64(w.upTo(2*time.Minute))}
	h.vacant, h.arb, h.life = true, nil, h.life+1
	for _, m := range slices.Clone(h.broker.links) {
		if w.rng.IntN(3) == 0 { // it was at that node
			w.in(w.upTo(500*time.Millisecond), func() {
				if m.link != nil && m.link.to == &h.broker {
					m.again()
				}
			})
		}
	}
	w.changed()
	reign, life := lease+250*time.Millisecond+4*time.Second, h.life
	w.in(reign+w.upTo(reign), func() {
		if h.life != life || !h.vacant {
			return
		}
		w.log("hub: another node has the area")
		h.index = 3 - h.index
		h.begin()
	})
}

// wait tells a device that wants an area which no node has to wait.
func (h *hub) wait(m *member, c area.Claim) {
	a := area.Answer{Op: area.OpQueued, Boot: c.Boot, MID: c.MID, Claim: c.Claim, From: "hub-1"}
	if c.Op == area.OpWant {
		a.Ack = c.Seq
	}
	m.receive(func() { m.step(turn.Heard{Answer: a}) })
}

// late tells whether the node that had the area before answers a leader, as if it still
// had it.
func (h *hub) late(m *member) bool {
	b := h.before
	return h.w.bug.lateAnswers && h.alive && b.leader == m && b.life == m.life && h.w.now < b.until
}
