package registry

import (
	"errors"
	"fmt"
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

// Assign keeps an operator's word on a sensor, known or not, and answers the
// sensor. Its error is an [area.Error]: unknown_area, unknown_location,
// invalid, conflict for a player (the roster's), disk_full beyond the bound; or
// that of the assignments.
func (r *Registry) Assign(d area.DeviceID, a Assignment) (area.Device, error) {
	if err := r.check(d, a); err != nil {
		return area.Device{}, err
	}
	r.mu.Lock()
	_, known := r.devices[d]
	full := len(r.devices) >= r.cfg.Sensors
	r.mu.Unlock()
	if !known && full {
		return area.Device{}, area.Errorf(area.CodeDiskFull, "there are %d sensors already", r.cfg.Sensors)
	}
	r.assigning.Lock()
	defer r.assigning.Unlock()
	if err := r.assign.Put(d, a); err != nil {
		return area.Device{}, fmt.Errorf("keep the assignment of device %s: %w", d, err)
	}
	r.mu.Lock()
	if r.devices[d] == nil {
		r.devices[d] = r.newEntry()
	}
	r.devices[d].assigned = a
	shown := r.show(d, r.devices[d])
	r.mu.Unlock()
	r.tell(d, true)
	return shown, nil
}

// AssignmentChanged takes in what an operator said of a sensor elsewhere, or that he
// says nothing any more (value nil), which is kept already. What cannot be read
// changes nothing, and the log has it as an error.
func (r *Registry) AssignmentChanged(key string, value []byte) {
	d, err := area.ParseSensorID(key)
	a, unread := readAssignment(value)
	if err = errors.Join(err, unread); err != nil {
		r.log.Error("assignment cannot be read", "device", key, "err", err)
		return
	}
	r.assigning.Lock()
	defer r.assigning.Unlock()
	r.mu.Lock()
	e := r.devices[d]
	switch {
	case e != nil:
		e.assigned = a
	case a == (Assignment{}):
	default:
		if e, _ = r.entryOf(d); e != nil { // else there is no room
			e.assigned = a
			r.devices[d] = e
		}
	}
	r.mu.Unlock()
	r.tell(d, true)
}

func (r *Registry) check(d area.DeviceID, a Assignment) error {
	if _, err := area.ParseSensorID(string(d)); err != nil {
		return err
	}
	if _, player := r.roster.Player(d); player {
		return area.Errorf(area.CodeConflict, "device %s is a player", d)
	}
	if a.Name != nil {
		if _, err := area.ParseSensorID(*a.Name); err != nil {
			return area.InvalidField("name", "a name is 1 to 128 bytes of text")
		}
	}
	if a.Area == nil {
		if a.Location != nil {
			return area.InvalidField("location", "a location needs its area")
		}
		return nil
	}
	in, ok := r.roster.Area(*a.Area)
	if !ok && *a.Area != area.Unassigned {
		return area.Errorf(area.CodeUnknownArea, "no area %s", *a.Area)
	}
	if a.Location == nil {
		return nil
	}
	for _, l := range in.Locations {
		if l.ID == *a.Location {
			return nil
		}
	}
	return area.Errorf(area.CodeUnknownLocation, "no location %s in area %s", *a.Location, *a.Area)
}
