package order

import (
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// mostAdoptions bounds the orders that wait to be adopted; one more is refused,
// and said again.
const mostAdoptions = 256

// adoption is an order that came to another hub of the area, and what became of
// it so far.
type adoption struct {
	order  area.Order
	report area.Report
	at     time.Time
	done   func(error)
}

// Adopt takes an order in that the leader of an area had accepted while it could
// not reach this hub, with the newest report of it. It appears as it is: ended
// where it has ended, else as any other, and is handed to the dispatcher. An
// order that is known gets the report alone. Done is called once, from Run's
// goroutine or at once, with nil when all that is durable, else with an
// [area.Error]: rate, invalid, or what the store said; it must only enqueue.
// Adopt does not block.
func (s *Service) Adopt(o area.Order, r area.Report, done func(error)) {
	if !area.IsID(string(o.ID)) || o.ID != r.Work || o.To.Keys() != 1 {
		done(area.Errorf(area.CodeInvalid, "order %.80q is not the one of its report, or has no target", o.ID))
		return
	}
	s.mu.Lock()
	full := len(s.adoptions) >= mostAdoptions
	if !full {
		s.adoptions = append(s.adoptions, adoption{o, r, s.now().Add(-r.Ago), done})
	}
	s.mu.Unlock()
	if full {
		done(area.Errorf(area.CodeRate, "%d orders wait to be adopted already", mostAdoptions))
		return
	}
	s.poke()
}

// takeIn adopts what waits.
func (s *Service) takeIn() {
	s.mu.Lock()
	list := s.adoptions
	s.adoptions = nil
	s.mu.Unlock()
	for _, a := range list {
		if kept, ok := s.store.Get(a.order.ID); ok && kept.Order.State.Ended() {
			a.done(nil)
			continue
		}
		s.mu.Lock()
		e := s.live[a.order.ID]
		if e != nil && e.hand == others {
			node := e.node
			s.mu.Unlock()
			s.forward(node, a.report)
			a.done(area.Errorf(area.CodeDegraded, "the order is node %s's, and not known here as it is", node))
			continue
		}
		if e == nil && len(s.live)-s.foreign >= s.cfg.MaxLive {
			s.mu.Unlock()
			a.done(area.Errorf(area.CodeRate, "%d orders wait for their end already", s.cfg.MaxLive))
			continue
		}
		if e == nil {
			e = foreign(a.order)
			e.node = s.self()
			s.insert(e)
			s.count.adopted.Add(1)
		}
		s.change(e, a.report, a.at)
		e.waits = append(e.waits, a.done)
		s.soil(e)
		s.mu.Unlock()
	}
}

// foreign is the entry of an order that another hub made.
func foreign(o area.Order) *entry {
	e := &entry{order: o, seen: o.Device != nil, ended: make(chan struct{})}
	if o.To.Location != nil {
		e.location = area.LocationID(*o.To.Location)
	}
	if o.To.Device != nil {
		e.device = area.DeviceID(*o.To.Device)
	}
	if o.State.Ended() {
		close(e.ended)
	}
	return e
}

// answer tells those who wait for the entry that it is durable as it is, or that
// it could not be made so. The caller does not hold the lock.
func (s *Service) answer(e *entry, err error) {
	s.mu.Lock()
	waits := e.waits
	e.waits = nil
	s.mu.Unlock()
	for _, done := range waits {
		done(err)
	}
}
