package registry

import (
	"maps"
	"sync"

	"github.com/tacet-hub/tacet/broker/area"
)

// Memory is [Assignments] that end with the process. Its zero value is empty
// and ready; it is safe for concurrent use.
type Memory struct {
	mu  sync.Mutex // guards all
	all map[area.DeviceID]Assignment
}

// All is a copy of what was put.
func (m *Memory) All() (map[area.DeviceID]Assignment, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.all), nil
}

// Put keeps a, or nothing where that says nothing; it never fails.
func (m *Memory) Put(d area.DeviceID, a Assignment) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil {
		m.all = map[area.DeviceID]Assignment{}
	}
	m.all[d] = a
	if a == (Assignment{}) {
		delete(m.all, d)
	}
	return nil
}
