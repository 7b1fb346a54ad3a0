package order

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// sounds is over how many orders the percentile is taken.
const sounds = 1000

// Stats is what the service counted since its start. Of several nodes each counts
// its own orders.
type Stats struct {
	Accepted, Refused                  uint64
	Played, Expired, Cancelled, Failed uint64
	Replayed                           uint64        // answers of an idempotency key
	KeysAlone                          uint64        // idempotency keys that came while the other nodes could not be asked
	KeysDropped                        uint64        // idempotency keys that went before their time
	Adopted                            uint64        // orders that a leader of an area had accepted
	Inherited                          uint64        // orders taken over from nodes that were gone
	LetGo                              uint64        // orders that another node had taken over
	Forwarded                          uint64        // reports about orders of other nodes, handed to them
	Known                              uint64        // works submitted over MQTT again
	Unknown                            uint64        // reports about works without an order
	Late                               uint64        // reports about ended orders
	Coalesced                          uint64        // reports that went for newer ones
	Overdue                            uint64        // orders that the dispatcher did not end in time
	Live                               int           // without an end
	Waiting                            int           // of them, those that do not sound
	Playing                            int           // of them, those that do
	ToSoundP95                         time.Duration // from created, or due, to the first sound, over the last 1,000 that waited for no other order; 0: none yet
}

type counts struct {
	accepted, refused, played, expired, cancelled, failed                                                            atomic.Uint64
	replayed, keysDropped, known, unknown, late, coalesced, overdue, adopted, inherited, keysAlone, letGo, forwarded atomic.Uint64

	mu   sync.Mutex
	ring []time.Duration
	at   int
}

func (c *counts) end(s area.OrderState) {
	switch s {
	case area.OrderPlayed:
		c.played.Add(1)
	case area.OrderExpired:
		c.expired.Add(1)
	case area.OrderCancelled:
		c.cancelled.Add(1)
	case area.OrderFailed:
		c.failed.Add(1)
	}
}

// sounded remembers how long an order took to its first sound that had its area
// to itself: waiting for others is the queue's, not the hub's.
func (c *counts) sounded(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.ring) < sounds {
		c.ring = append(c.ring, d)
		return
	}
	c.ring[c.at] = d
	c.at = (c.at + 1) % sounds
}

func (c *counts) p95() time.Duration {
	c.mu.Lock()
	all := slices.Clone(c.ring)
	c.mu.Unlock()
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[(len(all)*95+99)/100-1]
}

// Stats answers what was counted so far.
func (s *Service) Stats() Stats {
	c := &s.count
	out := Stats{
		Accepted: c.accepted.Load(), Refused: c.refused.Load(),
		Played: c.played.Load(), Expired: c.expired.Load(), Cancelled: c.cancelled.Load(), Failed: c.failed.Load(),
		Replayed: c.replayed.Load(), KeysDropped: c.keysDropped.Load(), KeysAlone: c.keysAlone.Load(), Known: c.known.Load(), Unknown: c.unknown.Load(),
		Late: c.late.Load(), Coalesced: c.coalesced.Load(), Overdue: c.overdue.Load(), Adopted: c.adopted.Load(), Inherited: c.inherited.Load(), LetGo: c.letGo.Load(), Forwarded: c.forwarded.Load(), ToSoundP95: c.p95(),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.live {
		switch {
		case e.order.State.Ended() || e.hand == others: // counted by the node that has it
		case e.order.State == area.OrderPlaying:
			out.Live, out.Playing = out.Live+1, out.Playing+1
		default:
			out.Live, out.Waiting = out.Live+1, out.Waiting+1
		}
	}
	return out
}
