package arbiter

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tacet-hub/tacet/broker/area"
)

// ChangedElsewhere takes in what the table of [Roster.KeepIn] has of an area now that
// another node of the hub has changed it; nil: nothing. It is not written again. An
// area of the configuration file keeps what the file says of it, and one of another
// node's file is left out; so is what does not go with the areas that are here, and
// the log has it. An area in which a player is live stays, for the other nodes too.
func (r *Roster) ChangedElsewhere(key string, value []byte) {
	name, err := area.ParseName(key)
	if err == nil && value == nil {
		r.removedElsewhere(name)
		return
	}
	var c AreaConfig
	if err == nil {
		err = json.Unmarshal(value, &c)
	}
	if err == nil && c.ID != name {
		err = fmt.Errorf("the record is that of %s", c.ID)
	}
	if err == nil {
		r.mu.Lock()
		err = r.take(c)
		r.mu.Unlock()
	}
	if err != nil {
		r.keeper.log.Warn("area of another node is left out", "area", key, "err", err)
		return
	}
	r.changed()
}

// take makes an area as it is elsewhere. The caller holds the lock.
func (r *Roster) take(c AreaConfig) error {
	e, ok := r.areas[c.ID]
	switch {
	case ok && e.Source == area.SourceConfig:
		r.takeLocations(e, c.Locations)
		return nil
	case c.Source == area.SourceConfig:
		return area.Errorf(area.CodeUnknownArea, "the configuration file does not have area %s", c.ID)
	case !ok:
		if err := r.create(c); err != nil {
			return err
		}
		r.countSeen(c.Source, 1)
		return nil
	}
	if err := r.fits(c); err != nil {
		return err
	}
	r.takeLocations(e, c.Locations)
	r.countSeen(e.Source, -1)
	r.countSeen(c.Source, 1)
	e.AreaConfig = c
	return nil
}

func (r *Roster) countSeen(s area.Source, n int) {
	if s == area.SourceSeen {
		r.seen += n
	}
}

// takeLocations gives an area these locations, beside those of the configuration
// file. One that another area has stays that one's. The caller holds the lock.
func (r *Roster) takeLocations(e *areaEntry, list []Place) {
	has := func(list []Place, id area.LocationID) bool {
		return slices.ContainsFunc(list, func(p Place) bool { return p.ID == id })
	}
	configured := e.Locations
	if e.Source != area.SourceConfig {
		configured = nil
	}
	for _, l := range slices.Clone(e.locations) {
		if !has(list, l.id) && !has(configured, l.id) {
			r.dropLocation(e, l)
		}
	}
	for _, p := range list {
		if in, taken := r.places[p.ID]; !has(configured, p.ID) && (!taken || in == e.ID) {
			r.placeAgain(e, p)
		}
	}
}

// removedElsewhere removes an area, or the locations that were added to one of the
// configuration file.
func (r *Roster) removedElsewhere(name area.Name) {
	r.mu.Lock()
	e, ok := r.areas[name]
	var held bool
	switch {
	case !ok:
	case e.Source == area.SourceConfig:
		r.takeLocations(e, nil)
	default:
		_, held = r.liveIn(name)
		if !held {
			r.remove(e)
		}
	}
	r.mu.Unlock()
	if held {
		r.keep(name)
		return
	}
	r.changed()
}

// liveIn is a player that is live in an area. The caller holds the lock.
func (r *Roster) liveIn(name area.Name) (area.DeviceID, bool) {
	for id, p := range r.players {
		if p.area == name && p.link() != "" {
			return id, true
		}
	}
	return "", false
}

// remove takes an area off the roster. The caller holds the lock.
func (r *Roster) remove(e *areaEntry) {
	for _, l := range e.locations {
		delete(r.places, l.id)
	}
	for id, p := range r.players {
		if p.area == e.ID {
			delete(r.players, id)
		}
	}
	delete(r.areas, e.ID)
	r.countSeen(e.Source, -1)
}
