package arbiter

import (
	"github.com/tacet-hub/tacet/broker/area"
)

// Seen answers the area that a text names, and makes it where there is none: a
// device was seen in it (DESIGN.md §3.6, Areas). Its error is an [area.Error]:
// invalid for a text of which no id can be made, rate when the roster has made
// as many areas as it may.
func (r *Roster) Seen(text string) (area.Name, error) {
	r.mu.Lock()
	if name, ok := r.find(text); ok {
		r.mu.Unlock()
		return name, nil
	}
	err := r.makeSeen(text)
	name, _ := r.find(text)
	r.mu.Unlock()
	if err == nil {
		r.changed()
		r.keep(name)
	}
	return name, err
}

// makeSeen adds the area that a text makes; the caller holds the lock.
func (r *Roster) makeSeen(text string) error {
	id := area.Name(text)
	if !area.IsID(text) {
		made, ok := area.Slug(text)
		if !ok || len(text) > 128 {
			return area.Errorf(area.CodeInvalid, "the text %.80q makes no area", text)
		}
		id = made
	}
	if id == area.Unassigned {
		return area.Errorf(area.CodeInvalid, "%q is the hub's own", id)
	}
	if r.seen >= r.maxSeen {
		return area.Errorf(area.CodeRate, "%d areas were made by devices, and no more may be", r.seen)
	}
	if err := r.create(AreaConfig{ID: id, Name: text, Source: area.SourceSeen, Volume: -1}.withDefaults()); err != nil {
		return err
	}
	r.seen++
	return nil
}

// Find answers the area that a text names, by its id or by its name; an id wins
// over a name. Its error is unknown_area.
func (r *Roster) Find(text string) (area.Name, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if name, ok := r.find(text); ok {
		return name, nil
	}
	return "", area.Errorf(area.CodeUnknownArea, "no area %.80q", text)
}

// find looks for an area by id, name, or the id that the name makes; the caller
// holds the lock.
func (r *Roster) find(text string) (area.Name, bool) {
	if _, ok := r.areas[area.Name(text)]; ok {
		return area.Name(text), true
	}
	for id, e := range r.areas {
		if e.Name == text {
			return id, true
		}
	}
	if area.IsID(text) {
		return "", false
	}
	made, ok := area.Slug(text)
	if !ok {
		return "", false
	}
	_, ok = r.areas[made]
	return made, ok
}

// locationID is the id of the location that a text names in an area; the caller
// holds the lock.
func (r *Roster) locationID(in area.Name, text string) area.LocationID {
	if area.IsID(text) {
		return area.LocationID(text)
	}
	if e, ok := r.areas[in]; ok {
		for _, l := range e.locations {
			if l.name == text {
				return l.id
			}
		}
	}
	made, _ := area.Slug(text)
	return area.LocationID(made)
}

// Resolve answers where an order goes: always an area, and the location or the
// device that it names. Its error is an [area.Error]: unknown_area,
// unknown_location, unknown_device, or invalid where not exactly one key is set.
func (r *Roster) Resolve(to area.To) (area.Name, area.LocationID, area.DeviceID, error) {
	if to.Keys() != 1 || to.Each != nil {
		return "", "", "", area.InvalidField("to", "exactly one of area, location and device")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case to.Area != nil:
		if *to.Area == string(area.Unassigned) {
			return "", "", "", area.InvalidField("to.area", "nothing can be announced to %q", area.Unassigned)
		}
		if name, ok := r.find(*to.Area); ok {
			return name, "", "", nil
		}
		return "", "", "", unknown(area.CodeUnknownArea, "to.area", "no area %.80q", *to.Area)
	case to.Location != nil:
		if in, at, ok := r.findLocation(*to.Location); ok {
			return in, at, "", nil
		}
		return "", "", "", unknown(area.CodeUnknownLocation, "to.location", "no location %.80q", *to.Location)
	}
	if q, ok := r.players[area.DeviceID(*to.Device)]; ok {
		return q.area, "", q.Device, nil
	}
	return "", "", "", unknown(area.CodeUnknownDevice, "to.device", "no device %.80q", *to.Device)
}

func (r *Roster) findLocation(text string) (area.Name, area.LocationID, bool) {
	if in, ok := r.places[area.LocationID(text)]; ok {
		return in, area.LocationID(text), true
	}
	for id, in := range r.places {
		for _, l := range r.areas[in].locations {
			if l.id == id && l.name == text {
				return in, id, true
			}
		}
	}
	return "", "", false
}

func unknown(c area.Code, field, format, text string) error {
	e := area.Errorf(c, format, text)
	e.Fields = []area.FieldError{{Field: field, Message: e.Detail}}
	return e
}
