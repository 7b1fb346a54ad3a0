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
	name     string    // that the sensor gives itself; empty: none
	about    map[string]string
	lastLive time.Time // zero: never
	online   bool      // heard of within the timeout
	said     word      // what it, or the broker for it, said of its being there
	readings map[history.Key]held

	home  string           // node whose word all but the readings is
	at    int64            // when that was said, as [Registry.stamp] counts at that node
	nodes map[string]int64 // when each node heard it last, in Unix milliseconds; see heardAt
	news  news             // what other nodes are not told yet

	since   time.Time // when it was first known
	brought time.Time // when it was brought back from disk; zero once it was heard, or was silent for long enough
	changed bool      // is not on disk as it is
	moved   bool      // its readings or last_seen are not
	kept    time.Time // when it was written; zero: never
}

// held is the newest reading of a key, and who heard it.
type held struct {
	area.Reading
	own   bool   // timed by the sensor's own clock
	node  string // that heard it
	heard int64  // when, as [Registry.stamp] counts there
}

// word is what was said of a device's being there. Its zero value is nothing.
type word struct {
	state  area.Presence
	reason string
	topic  string
	replay bool // a retained copy, and nothing live since
	at     time.Time
}

// outcome is what became of a value.
type outcome uint8

const (
	added    outcome = iota // the first of its key
	replaced                // newer than what was there
	old                     // a retained copy of what is known
	refused                 // one metric too many
	earlier                 // measured before what is there
)

// put keeps a value as the newest of its key. A retained copy that says what is
// known already is no news.
func (e *entry) put(k history.Key, v mapping.Value, is held, replay bool, most int) (area.Reading, outcome) {
	is.Reading = area.Reading{
		Device: k.Device, Metric: k.Metric, Channel: textOrNil(k.Channel), Value: v.Value, Unit: textOrNil(v.Unit),
		Quality: quality(v, replay), TS: v.TS, Topic: is.Topic,
	}
	was, known := e.readings[k]
	switch {
	case !known && len(e.readings) >= most:
		return is.Reading, refused
	case known && replay && was.Value == v.Value:
		return is.Reading, old
	case known && is.own && was.own && v.TS < was.TS && !replay: // two clocks cannot be compared
		return is.Reading, earlier
	}
	if e.readings == nil {
		e.readings = map[history.Key]held{}
	}
	e.readings[k] = is
	if known {
		return is.Reading, replaced
	}
	return is.Reading, added
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
	cameBack := !e.online || e.said.replay
	switch {
	case e.said.state == area.PresenceUnknown: // it speaks for itself, and has done so now
		e.said.state, e.said.reason = area.Online, area.PresentConnected
	case !e.brought.IsZero() && e.said.state != area.Online: // what it said before is no more than that
		e.said = word{}
	}
	e.online, e.lastLive, e.said.replay, e.brought = true, at, false, time.Time{}
	return cameBack
}

// silent tells whether the device has just been silent for too long. One that
// says by itself whether it is there is not judged by its silence; what a
// retained copy said, or what it said before a restart, holds so long, too, and
// then nobody knows.
func (e *entry) silent(now time.Time, timeout time.Duration) (changed bool) {
	if e.said.state == area.Online && e.said.replay && now.Sub(e.said.at) >= timeout {
		e.said, changed = word{state: area.PresenceUnknown, topic: e.said.topic}, true
	}
	if !e.brought.IsZero() && now.Sub(e.brought) >= timeout {
		e.brought = time.Time{}
		changed = changed || e.said.state == "" && !e.lastLive.IsZero()
	}
	if e.online && now.Sub(e.lastLive) >= timeout {
		e.online = false
		changed = changed || e.said.state == ""
	}
	return changed
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
		reading := e.readings[k].Reading
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
		Node: r.homeOf(e), Attributes: map[string]string{}, Readings: e.list(in),
	}
	switch {
	case e.assigned.Name != nil:
		shown.Name = *e.assigned.Name
	case e.name != "":
		shown.Name = e.name
	}
	maps.Copy(shown.Attributes, e.about)
	if !e.lastLive.IsZero() {
		seen := area.At(e.lastLive)
		shown.LastSeen = &seen
	}
	if state, reason := e.presence(r.now(), r.cfg.Timeout); state != area.PresenceUnknown {
		shown.Presence, shown.Reason = state, &reason
	}
	return shown
}

// homeOf is the node that has heard a device; of one that none has heard nobody's, or
// that of the only one. The caller holds the lock.
func (r *Registry) homeOf(e *entry) string {
	if e.home == "" && r.mux == nil {
		return r.cfg.Node
	}
	return e.home
}

// presence is whether the device is there, and why: what was said of it, else
// whether it was heard. That one was there before a restart does not say that it
// is now, and a retained copy does not either.
func (e *entry) presence(now time.Time, timeout time.Duration) (state area.Presence, reason string) {
	before := !e.brought.IsZero()
	switch {
	case before && e.said.state == area.Online:
		return area.PresenceUnknown, ""
	case e.said.state != "":
		return e.said.state, e.said.reason
	case before || e.lastLive.IsZero():
		return area.PresenceUnknown, ""
	case now.Sub(e.lastLive) < timeout:
		return area.Online, area.PresentConnected
	}
	return area.Offline, area.PresentTimeout
}

func textOrNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
