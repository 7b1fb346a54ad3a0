package registry

import (
	"cmp"
	"maps"
	"slices"

	"github.com/tacet-hub/tacet/broker/area"
)

// Filter picks readings; a nil field matches all.
type Filter struct {
	Area    *area.Name
	Device  *area.DeviceID
	Metric  *string
	Channel *string
	Areas   []area.Name // in one of these; nil: all
}

func (f Filter) matches(r area.Reading) bool {
	return (f.Area == nil || *f.Area == r.Area) && (f.Areas == nil || slices.Contains(f.Areas, r.Area)) && (f.Device == nil || *f.Device == r.Device) &&
		(f.Metric == nil || *f.Metric == r.Metric) && (f.Channel == nil || r.Channel != nil && *f.Channel == *r.Channel)
}

// Devices lists the sensors in the order of their ids, with their readings.
// What the roster has as a player is none.
func (r *Registry) Devices() []area.Device {
	r.mu.Lock()
	list := make([]area.Device, 0, len(r.devices))
	for _, d := range slices.Sorted(maps.Keys(r.devices)) {
		list = append(list, r.show(d, r.devices[d]))
	}
	r.mu.Unlock()
	return slices.DeleteFunc(list, func(d area.Device) bool {
		_, player := r.roster.Player(d.ID)
		return player
	})
}

// Device is one sensor, as [Registry.Devices] lists it.
func (r *Registry) Device(d area.DeviceID) (area.Device, bool) {
	if _, player := r.roster.Player(d); player {
		return area.Device{}, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.devices[d]; e != nil {
		return r.show(d, e), true
	}
	return area.Device{}, false
}

// AreaOf is the area that a device is in, a sensor or a player; unassigned where
// it is not known.
func (r *Registry) AreaOf(d area.DeviceID) area.Name {
	r.mu.Lock()
	own := area.Unassigned
	if e := r.devices[d]; e != nil {
		own = e.place()
	}
	r.mu.Unlock()
	return r.areaOf(d, own)
}

// ReadingsOf is the newest readings of one device, a sensor or a player. It is
// never nil.
func (r *Registry) ReadingsOf(d area.DeviceID) []area.Reading {
	p, player := r.roster.Player(d)
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.devices[d]
	switch {
	case e == nil:
		return []area.Reading{}
	case player:
		return e.list(p.Area)
	}
	return e.list(e.place())
}

// Readings is the newest reading of each key that f picks, in the order of
// device, metric and channel. It is never nil.
func (r *Registry) Readings(f Filter) []area.Reading {
	list := []area.Reading{}
	for _, d := range r.ids(f.Device) {
		for _, reading := range r.ReadingsOf(d) {
			if f.matches(reading) {
				list = append(list, reading)
			}
		}
	}
	return list
}

// ids is the devices that there are, or the one that is asked for.
func (r *Registry) ids(one *area.DeviceID) []area.DeviceID {
	if one != nil {
		return []area.DeviceID{*one}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.SortedFunc(maps.Keys(r.devices), cmp.Compare[area.DeviceID])
}
