package registry

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/bridge/history"
	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/broker/area"
)

// entry is one device: a sensor, or a player's readings.
type entry struct {
	assigned Assignment
	area     area.Name // from the topic
	lastLive time.Time // zero: never
	online   bool
	readings map[history.Key]area.Reading
}

// outcome is what became of a value.
type outcome uint8

const (
	added    outcome = iota // the first of its key
	replaced                // newer than what was there
	old                     // a retained copy of what is known
	refused                 // one metric too many
)

// put keeps a value as the newest of its key. A retained copy that says what is
// known already is no news.
func (e *entry) put(k history.Key, v mapping.Value, topic string, replay bool, at time.Time, most int) (area.Reading, outcome) {
	reading := area.Reading{
		Device: k.Device, Metric: k.Metric, Channel: textOrNil(k.Channel), Value: v.Value, Unit: textOrNil(v.Unit),
		Quality: quality(v, replay), TS: at.UnixMilli(), Topic: topic,
	}
	was, known := e.readings[k]
	switch {
	case !known && len(e.readings) >= most:
		return reading, refused
	case known && replay && was.Value == v.Value:
		return reading, old
	}
	if e.readings == nil {
		e.readings = map[history.Key]area.Reading{}
	}
	e.readings[k] = reading
	if known {
		return reading, replaced
	}
	return reading, added
}

func quality(v mapping.Value, replay bool) area.Quality {
	switch {
	case v.Bad:
		return area.Bad
	case replay:
		return area.Stale
	}
	return area.Good
}

// live notes a live message and tells whether it ends a silence.
func (e *entry) live(at time.Time) bool {
	cameBack := !e.online
	e.online, e.lastLive = true, at
	return cameBack
}

// place is the area of a sensor.
func (e *entry) place() area.Name {
	if e.assigned.Area != nil {
		return *e.assigned.Area
	}
	return e.area
}

// list is the readings in the order of metric and channel.
func (e *entry) list(in area.Name) []area.Reading {
	list := make([]area.Reading, 0, len(e.readings))
	for _, k := range slices.SortedFunc(maps.Keys(e.readings), compareKeys) {
		reading := e.readings[k]
		reading.Area = in
		list = append(list, reading)
	}
	return list
}

func compareKeys(a, b history.Key) int {
	if c := strings.Compare(a.Metric, b.Metric); c != 0 {
		return c
	}
	return strings.Compare(a.Channel, b.Channel)
}

// show is the sensor as clients see it; the caller holds the lock.
func (r *Registry) show(d area.DeviceID, e *entry) area.Device {
	in := e.place()
	shown := area.Device{
		ID: d, Name: string(d), Kind: "sensor", Via: area.ViaMQTT, Area: in, Location: e.assigned.Location, Presence: area.PresenceUnknown,
		Node: r.cfg.Node, Attributes: map[string]string{}, Readings: e.list(in),
	}
	if e.assigned.Name != nil {
		shown.Name = *e.assigned.Name
	}
	if e.lastLive.IsZero() {
		return shown
	}
	seen, reason := area.At(e.lastLive), area.PresentTimeout
	shown.LastSeen, shown.Presence = &seen, area.Offline
	if r.now().Sub(e.lastLive) < r.cfg.Timeout {
		shown.Presence, reason = area.Online, area.PresentConnected
	}
	shown.Reason = &reason
	return shown
}

func textOrNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
