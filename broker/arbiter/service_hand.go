package arbiter

import (
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// What goes from one arbiter of an area to the other: see [area.Trunk].

// Hand takes over a work of another arbiter, with what that one knows of it. A
// work that is known already is ignored; one that has ended here is reported
// once more. Its error is an [area.Error] of code unknown_area.
func (s *Service) Hand(in area.Name, h area.Handed) error {
	return s.submit(Submit{Work: h.Take(in, s.now()), Att: h.Att, Reason: h.Reason, Given: h.Given, Maybe: h.Maybe})
}

// Inherit counts what the arbiter of an area before this one leaves behind:
// holds without a lease, and leases that may live for so long. Saying it again
// does no harm.
func (s *Service) Inherit(in area.Name, holds []area.Hold, settle time.Duration) {
	if d := s.found(in); d != nil {
		d.box.put(Inherit{Holds: holds, Settle: settle})
	}
}

// Ended tells the arbiter of an end that another one has seen.
func (s *Service) Ended(r area.Report) {
	if d := s.found(r.Area); d != nil {
		d.box.put(Ended{Report: r})
	}
}

// HeardTerm tells the arbiter of an area of the term of another one: it rises
// above it and settles.
func (s *Service) HeardTerm(in area.Name, term uint64) {
	if d := s.found(in); d != nil {
		d.box.put(HeardTerm{Term: term})
	}
}

// Holds are what sounds in an area without a lease, with what is left of each,
// and the longest life of a lease that may be alive. It is what another arbiter
// has to know to take the area.
func (s *Service) Holds(in area.Name) (holds []area.Hold, alive time.Duration) {
	s.mu.Lock()
	d := s.desks[in]
	s.mu.Unlock()
	if d == nil {
		return nil, 0
	}
	return d.held(s.clock())
}

func (d *desk) held(now area.Instant) (holds []area.Hold, alive time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	ago := now.Sub(d.heldAt).Milliseconds()
	for _, h := range d.holds {
		if h.LeftMs -= ago; h.LeftMs > 0 {
			holds = append(holds, h)
		}
	}
	return holds, d.alive
}
