package arbiter

import (
	"slices"

	"github.com/tacet-hub/tacet/broker/area"
)

// mostPlaces bounds the locations of an area to which devices may bring more; who
// brings one more is registered without a location.
const mostPlaces = 2000

// mount gives a player its location; the caller holds the lock. A location that
// is not known yet is made in the player's area.
func (r *Roster) mount(q *player, text string) (area.LocationID, error) {
	if text == "" {
		r.unmount(q)
		return "", nil
	}
	id := r.locationID(q.area, text)
	if id == "" {
		r.unmount(q)
		return "", area.InvalidField("location", "%q makes no id", text)
	}
	e := r.areas[q.area]
	in, known := r.places[id]
	if known && in != q.area {
		r.unmount(q)
		return "", area.Errorf(area.CodeLocationConflict, "location %s is in area %s, not in %s", id, in, q.area)
	}
	if !known && len(e.locations) >= mostPlaces {
		r.unmount(q)
		return "", area.Errorf(area.CodeRate, "area %s has %d locations, and no more fit", q.area, mostPlaces)
	}
	if !known {
		r.addLocation(e, Place{ID: id, Name: text})
	}
	if q.location != id {
		r.unmount(q)
	}
	for _, l := range e.locations {
		if l.id != id {
			continue
		}
		if other, ok := r.players[l.device]; ok && other != q {
			other.location = "" // the later registration has it
		}
		l.device = q.Device
	}
	q.location = id
	return id, nil
}

// unmount takes a player off its location, which stays; the caller holds the
// lock.
func (r *Roster) unmount(q *player) {
	if e, ok := r.areas[q.area]; ok {
		for _, l := range e.locations {
			if l.device == q.Device {
				l.device = ""
			}
		}
	}
	q.location = ""
}

// whereabouts is the location at which a player is shown: its own, and of one that is
// offline the one at which it was, as long as that is there and nobody else is on it.
// Work for the location does not go to it. The caller holds the lock.
func (r *Roster) whereabouts(q *player) area.LocationID {
	e, ok := r.areas[q.area]
	if q.location != "" || q.presence != area.Offline || !ok {
		return q.location
	}
	if slices.ContainsFunc(e.locations, func(l *location) bool { return l.id == q.last && l.device == "" }) {
		return q.last
	}
	return ""
}

// Rename gives a player a name that beats its own, and, where location is not
// empty, mounts it there. Its error is an [area.Error]: not_found, conflict
// where the device itself says that it is in another area, location_conflict.
func (r *Roster) Rename(d area.DeviceID, in area.Name, location, name string) error {
	r.mu.Lock()
	q, ok := r.players[d]
	if !ok {
		r.mu.Unlock()
		return area.Errorf(area.CodeNotFound, "no device %s", d)
	}
	if in != "" && in != q.area {
		r.mu.Unlock()
		return area.Errorf(area.CodeConflict, "device %s says itself that it is in area %s: its own configuration decides", d, q.area)
	}
	var err error
	if location != "" {
		_, err = r.mount(q, location)
	}
	if name != "" {
		q.renamed = name
	}
	at := Presence{Device: d, Area: q.area, Location: q.location, Live: q.presence == area.Online, Via: q.Via, Link: q.Link, MID: q.MID, Silent: q.Silent}
	r.mu.Unlock()
	r.joined(at)
	r.changed()
	r.keep(at.Area)
	return err
}
