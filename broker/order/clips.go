package order

import (
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Clips is the clips that orders without an end name, as the orders do, each
// once. They must stay where they are kept.
func (s *Service) Clips() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[string]bool{}
	for _, e := range s.live {
		if e.order.Clip != nil && !e.order.State.Ended() {
			seen[*e.order.Clip] = true
		}
	}
	all := make([]string, 0, len(seen))
	for c := range seen {
		all = append(all, c)
	}
	return all
}

// Measured tells how long an order without an end sounds, once that is known. An
// order that is not known is none of ours. It does not block.
func (s *Service) Measured(id area.WorkID, d time.Duration) {
	s.mu.Lock()
	e := s.live[id]
	changed := e != nil && e.hand != others && !e.order.State.Ended() && e.order.DurationMs != d.Milliseconds()
	if changed {
		e.order.DurationMs = d.Milliseconds()
		s.soil(e)
	}
	s.mu.Unlock()
	if changed {
		s.poke()
	}
}
