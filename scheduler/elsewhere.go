package scheduler

import (
	"reflect"

	"github.com/tacet-hub/tacet/broker/area"
)

// ChangedElsewhere takes in a schedule that another node of the hub has made, changed
// or fired; there false: it has removed it. It is in the store already. A schedule of
// this node's configuration file stays as the file says, and only takes in what it
// fired last; one of another node's file that this one's does not have is left out.
// One that cannot be read is left out too, and the log has it.
func (s *Service) ChangedElsewhere(id string, r Record, there bool) {
	s.edits.Lock()
	defer s.edits.Unlock()
	e, err := s.entry(r)
	if there && err != nil {
		s.log.Warn("stored schedule cannot be read", "rule", id, "err", err)
		there = false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	own, known := s.table[id]
	switch {
	case known && own.Schedule.Source == area.SourceConfig:
		if there {
			own.Schedule.Last, own.Each = r.Schedule.Last, r.Each
		}
	case !there || r.Schedule.Source == area.SourceConfig:
		delete(s.table, id)
	default:
		if known && sameRule(own.Schedule, r.Schedule) {
			e.next = own.next // a firing that is due now stays so
		}
		s.table[id] = e
		s.poke()
	}
}

// sameRule tells whether two schedules come due at the same instants.
func sameRule(a, b area.Schedule) bool {
	return a.Enabled == b.Enabled && a.TimeZone == b.TimeZone && reflect.DeepEqual([]any{a.Cron, a.Every, a.Once}, []any{b.Cron, b.Every, b.Once})
}
