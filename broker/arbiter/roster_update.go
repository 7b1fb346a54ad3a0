package arbiter

import (
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Update changes how an area works: c is all of it, and a location that it does
// not name is removed. What only a configuration sets (source and holds) stays.
// Its error is an [area.Error]: not_found, exists for a name that is taken,
// location_conflict, invalid, and configured for the name and the locations that
// the configuration file gives an area.
func (r *Roster) Update(c AreaConfig) error {
	if c = c.withDefaults(); c.Lease < time.Second || c.Lease > 10*time.Minute {
		return area.InvalidField("lease", "%s is not 1s to 10m", c.Lease)
	}
	r.mu.Lock()
	err := r.update(c)
	r.mu.Unlock()
	if err == nil {
		r.changed()
		r.keep(c.ID)
	}
	return err
}

func (r *Roster) update(c AreaConfig) error {
	e, ok := r.areas[c.ID]
	if !ok {
		return area.Errorf(area.CodeNotFound, "no area %s", c.ID)
	}
	if err := r.fits(c); err != nil {
		return err
	}
	named := func(id area.LocationID) bool {
		return slices.ContainsFunc(c.Locations, func(p Place) bool { return p.ID == id })
	}
	if e.Source == area.SourceConfig {
		if c.Name != e.Name {
			return area.Errorf(area.CodeConfigured, "the configuration file names area %s", c.ID)
		}
		for _, p := range e.Locations {
			if !named(p.ID) {
				return area.Errorf(area.CodeConfigured, "location %s is in the configuration file", p.ID)
			}
		}
	}
	for _, l := range slices.Clone(e.locations) {
		if !named(l.id) {
			r.dropLocation(e, l)
		}
	}
	for _, p := range c.Locations {
		r.placeAgain(e, p)
	}
	c.Source, c.ClassicHold, c.DumbHold, c.EmergencyBarge, c.PerNode = e.Source, e.ClassicHold, e.DumbHold, e.EmergencyBarge, e.PerNode
	if e.Source == area.SourceConfig {
		c.Locations = e.Locations // still tells which are the file's
	}
	e.AreaConfig = c
	return nil
}

// fits refuses a name or a location that another area has; the caller holds the
// lock.
func (r *Roster) fits(c AreaConfig) error {
	for id, a := range r.areas {
		if id != c.ID && a.Name == c.Name {
			return area.Errorf(area.CodeExists, "area %s has the name %q already", id, c.Name)
		}
	}
	for _, p := range c.Locations {
		if in, ok := r.places[p.ID]; ok && in != c.ID {
			return area.Errorf(area.CodeLocationConflict, "location %s is in area %s already", p.ID, in)
		}
	}
	return nil
}

// dropLocation removes a location; who is there stays in the area without one.
// The caller holds the lock.
func (r *Roster) dropLocation(e *areaEntry, l *location) {
	if q, ok := r.players[l.device]; ok && q.location == l.id {
		q.location = ""
	}
	delete(r.places, l.id)
	e.locations = slices.DeleteFunc(e.locations, func(x *location) bool { return x == l })
}
