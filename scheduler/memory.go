package scheduler

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/tacet-hub/tacet/broker/area"
)

// Memory is a [Store] that lasts as long as the process. The zero value is
// empty and ready.
type Memory struct {
	mu      sync.Mutex
	records map[string]Record
}

// Load answers every record.
func (m *Memory) Load() ([]Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.records)), nil
}

// Put keeps a record.
func (m *Memory) Put(_ context.Context, r Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.records == nil {
		m.records = map[string]Record{}
	}
	m.records[r.Schedule.ID] = r
	return nil
}

// Fired notes what a firing made.
func (m *Memory) Fired(_ context.Context, id string, last area.ScheduleFired, each map[area.LocationID]area.WorkID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r, ok := m.records[id]; ok {
		r.Schedule.Last, r.Each = &last, maps.Clone(each)
		m.records[id] = r
	}
	return nil
}

// Delete forgets a schedule.
func (m *Memory) Delete(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.records, id)
	return nil
}
