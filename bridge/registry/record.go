package registry

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/bridge/history"
	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/broker/area"
)

// record is a sensor on disk, and as nodes tell each other of it. Instants are Unix
// milliseconds, stamps those of [Registry.stamp].
type record struct {
	Area     area.Name         `json:"area"`
	Name     string            `json:"name,omitempty"`
	About    map[string]string `json:"about,omitempty"`
	Since    int64             `json:"since"`
	Seen     int64             `json:"seen,omitempty"` // 0: never live
	Said     area.Presence     `json:"said,omitempty"`
	Reason   string            `json:"reason,omitempty"`
	Topic    string            `json:"topic,omitempty"` // where that was said
	Readings []keptReading     `json:"readings,omitempty"`

	By    string           `json:"by,omitempty"`    // node that wrote this
	Home  string           `json:"home,omitempty"`  // node whose word all but the readings is; empty: By
	At    int64            `json:"at,omitempty"`    // stamp of that word
	AsOf  int64            `json:"as_of,omitempty"` // stamp of By at which this was so
	Nodes map[string]int64 `json:"nodes,omitempty"` // when each node heard it last

	// What ends with the process, and is told to other nodes alone.
	Copied  bool `json:"copied,omitempty"`  // what was said is a retained copy's
	Brought bool `json:"brought,omitempty"` // from disk, and was not heard since
}

type keptReading struct {
	Metric  string `json:"m"`
	Channel string `json:"c,omitempty"`
	Unit    string `json:"u,omitempty"`
	Topic   string `json:"t"`
	Value   any    `json:"v"`
	Bad     bool   `json:"bad,omitempty"`
	TS      int64  `json:"ts"`

	Node  string `json:"n,omitempty"` // that heard it; empty: By of the record
	Heard int64  `json:"h,omitempty"` // its stamp
	Own   bool   `json:"o,omitempty"` // timed by the sensor's own clock
	Stale bool   `json:"s,omitempty"` // told to other nodes alone: on disk all are
}

// heardKept is for how long it is remembered which nodes have heard a sensor: a little
// longer than what they heard is in their histories.
const heardKept = 25 * time.Hour

// mostHeard is of how many nodes that is remembered, the latest.
const mostHeard = 16

// record is an entry as it goes to disk, written by a node; the caller holds the
// registry's lock.
func (e *entry) record(by string, asOf int64) record {
	rec := e.head(by, asOf)
	for _, k := range slices.SortedFunc(maps.Keys(e.readings), compareKeys) {
		rec.Readings = append(rec.Readings, e.readings[k].kept(k, by))
	}
	return rec
}

// head is a record without readings.
func (e *entry) head(by string, asOf int64) record {
	rec := record{
		Area: e.area, Name: e.name, About: maps.Clone(e.about), Since: e.since.UnixMilli(),
		Said: e.said.state, Reason: e.said.reason, Topic: e.said.topic,
		By: by, At: e.at, AsOf: asOf, Nodes: maps.Clone(e.nodes),
	}
	if e.home != by {
		rec.Home = e.home
	}
	if !e.lastLive.IsZero() {
		rec.Seen = e.lastLive.UnixMilli()
	}
	return rec
}

// kept is a reading in a record that a node writes.
func (h held) kept(k history.Key, by string) keptReading {
	r := keptReading{Metric: k.Metric, Channel: k.Channel, Unit: orNone(h.Unit), Topic: h.Topic, Value: h.Value, Bad: h.Quality == area.Bad, TS: h.TS, Heard: h.heard, Own: h.own}
	if h.node != by {
		r.Node = h.node
	}
	return r
}

// held is a reading of a record of a device.
func (r keptReading) held(d area.DeviceID, by string) (history.Key, held) {
	return history.Key{Device: d, Metric: r.Metric, Channel: r.Channel}, held{
		Reading: area.Reading{
			Device: d, Metric: r.Metric, Channel: textOrNil(r.Channel), Value: r.Value, Unit: textOrNil(r.Unit),
			Quality: quality(mapping.Value{Bad: r.Bad}, r.Stale), TS: r.TS, Topic: r.Topic,
		},
		own: r.Own, node: cmp.Or(r.Node, by), heard: r.Heard,
	}
}

func orNone(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// bring makes an entry what it was on disk: its readings are stale, and nobody
// knows whether it is there.
func (e *entry) bring(d area.DeviceID, rec record, at time.Time) {
	e.takeHead(rec, at)
	e.brought, e.kept = at, at
	e.said.replay = e.said.state != ""
	e.readings = make(map[history.Key]held, len(rec.Readings))
	for _, r := range rec.Readings {
		r.Stale = true
		k, h := r.held(d, rec.By)
		e.readings[k] = h
	}
	e.hear(rec)
}

// takeHead takes what a record says of a device but its readings.
func (e *entry) takeHead(rec record, at time.Time) {
	e.area, e.name, e.about, e.since = rec.Area, rec.Name, rec.About, time.UnixMilli(rec.Since)
	e.home, e.at = cmp.Or(rec.Home, rec.By), rec.At
	e.said, e.brought = word{}, time.Time{}
	if rec.Said != "" {
		e.said = word{state: rec.Said, reason: rec.Reason, topic: rec.Topic, replay: rec.Copied, at: at}
	}
	if rec.Brought {
		e.brought = at
	}
}

// hear notes when nodes have heard a device, as a record says.
func (e *entry) hear(rec record) {
	for node, at := range rec.Nodes {
		e.heardAt(node, at)
	}
	if rec.Seen == 0 {
		return
	}
	if seen := time.UnixMilli(rec.Seen); seen.After(e.lastLive) {
		e.lastLive = seen
	}
}

// heardAt notes that a node has heard a device, in Unix milliseconds.
func (e *entry) heardAt(node string, at int64) {
	if was, known := e.nodes[node]; known {
		e.nodes[node] = max(was, at)
		return
	}
	if e.nodes == nil {
		e.nodes = map[string]int64{}
	}
	e.nodes[node] = at
	old := at - heardKept.Milliseconds()
	maps.DeleteFunc(e.nodes, func(_ string, at int64) bool { return at < old })
	if len(e.nodes) > mostHeard {
		delete(e.nodes, slices.MinFunc(slices.Collect(maps.Keys(e.nodes)), func(a, b string) int { return cmp.Compare(e.nodes[a], e.nodes[b]) }))
	}
}
