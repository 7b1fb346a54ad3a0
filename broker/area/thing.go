package area

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// Source says who made an area.
type Source string

// The sources of an area.
const (
	SourceConfig Source = "config" // the configuration file; REST may not delete or rename it
	SourceAPI    Source = "api"
	SourceSeen   Source = "seen" // a device named it first
)

// Location is a fixed, named place inside one area where a device is mounted.
type Location struct {
	ID     LocationID `json:"id"`
	Name   string     `json:"name"`
	Device *DeviceID  `json:"device"` // live device that is mounted there
}

// Queued is one line of an area's queue.
type Queued struct {
	Order          WorkID     `json:"order"`
	Device         *DeviceID  `json:"device"`
	State          OrderState `json:"state"`
	EstimatedStart *Time      `json:"estimated_start"`
}

// Area is an area as every client sees it.
type Area struct {
	ID         Name            `json:"id"`
	Name       string          `json:"name"`
	Source     Source          `json:"source"`
	Mode       string          `json:"mode"`     // available or strict
	Topology   string          `json:"topology"` // direct or local
	LeaseMs    int64           `json:"lease_ms"`
	Policy     string          `json:"policy"` // stop or finish
	Volume     int             `json:"volume"`
	QuietHours []string        `json:"quiet_hours"`
	Locations  []Location      `json:"locations"`
	Members    []DeviceID      `json:"members"` // players, live or not, in the order of their ids
	Busy       json.RawMessage `json:"busy"`    // the retained payload as it is
	Queue      []Queued        `json:"queue"`
	Leader     *Lead           `json:"leader"` // nil: nobody has arbitrated it yet
	Peers      *Peering        `json:"peers"`  // nil: none of its devices may lead it
	Seq        uint64          `json:"seq"`
}

// Via says how a device speaks to the hub.
type Via string

// The ways of a device.
const (
	ViaMQTT    Via = "mqtt"
	ViaSignalR Via = "signalr" // the full calls
	ViaClassic Via = "classic" // ReceiveDeviceConnected and BroadcastWorkStatus alone
	ViaDumb    Via = "dumb"    // busy/set alone
)

// Presence says whether a device is there.
type Presence string

// The presences.
const (
	Online          Presence = "online"
	Offline         Presence = "offline"
	Asleep          Presence = "asleep"
	PresenceUnknown Presence = "unknown"
)

// Why a device is present or not.
const (
	PresentConnected = "connected"
	PresentGoodbye   = "goodbye"
	PresentWill      = "will"
	PresentTimeout   = "timeout"
	PresentTakenOver = "taken_over"
	PresentAsleep    = "asleep"
)

// Device is a player or a sensor as every client sees it.
type Device struct {
	ID         DeviceID          `json:"id"`
	Name       string            `json:"name"`
	Kind       string            `json:"kind"` // player or sensor
	Via        Via               `json:"via"`
	Area       Name              `json:"area"`
	Location   *LocationID       `json:"location"`
	Presence   Presence          `json:"presence"`
	Reason     *string           `json:"reason"`
	State      *string           `json:"state"` // idle, waiting or playing; null for a sensor
	LastSeen   *Time             `json:"last_seen"`
	Node       string            `json:"node"`
	Boot       uint64            `json:"boot"`
	Volume     *int              `json:"volume"`
	Muted      bool              `json:"muted"`
	Attributes map[string]string `json:"attributes"`
	Readings   []Reading         `json:"readings"`
	Seq        uint64            `json:"seq"`
}

// Quality says what a reading is worth.
type Quality string

// The qualities.
const (
	Good  Quality = "good"
	Bad   Quality = "bad"   // not what was promised
	Stale Quality = "stale" // came as a retained copy: when it was measured is not known
)

// Reading is a value that a sensor gave. (Device, Metric, Channel) is its key.
type Reading struct {
	Device  DeviceID `json:"device"`
	Area    Name     `json:"area"`
	Metric  string   `json:"metric"`
	Channel *string  `json:"channel"`
	Value   any      `json:"value"` // float64, bool or string; null where the quality is bad
	Unit    *string  `json:"unit"`
	Quality Quality  `json:"quality"`
	TS      int64    `json:"ts"` // Unix milliseconds
	Topic   string   `json:"topic"`
}

// Delta tells the watchers of one object what changed: each changed top-level
// key with its whole new value. Seq grows by 1 per object; a hole means ask
// again.
type Delta struct {
	Area    *Name                      `json:"area,omitempty"`
	Device  *DeviceID                  `json:"device,omitempty"`
	Seq     uint64                     `json:"seq"`
	Set     map[string]json.RawMessage `json:"set,omitempty"`
	Removed bool                       `json:"removed,omitempty"`
}

// Diff is the top-level keys in which two objects of one type differ, with
// their new values. The key "seq" is left out; it travels beside the set.
func Diff(before, after any) map[string]json.RawMessage {
	var was, is map[string]json.RawMessage
	if before != nil {
		_ = json.Unmarshal(encode(before), &was)
	}
	_ = json.Unmarshal(encode(after), &is)
	set := map[string]json.RawMessage{}
	for k, v := range is {
		if k != "seq" && !bytes.Equal(was[k], v) {
			set[k] = v
		}
	}
	return set
}

// Schedule is a rule and the order that it makes each time it comes due.
// Exactly one of Cron, Every and Once is set.
type Schedule struct {
	ID       string         `json:"id"`
	Cron     *string        `json:"cron"`
	Every    *Duration      `json:"every"`
	Once     *Time          `json:"once"`
	TimeZone string         `json:"time_zone"`
	Work     OrderRequest   `json:"work"`
	Enabled  bool           `json:"enabled"`
	Source   Source         `json:"source"` // config or api
	Next     *Time          `json:"next"`
	Last     *ScheduleFired `json:"last"`
}

// ScheduleFired is the last firing of a schedule.
type ScheduleFired struct {
	At    Time    `json:"at"`
	Order *WorkID `json:"order"`
}

// TopicValue is the newest message of a topic as REST and the hub show it.
type TopicValue struct {
	Topic    string          `json:"topic"`
	Payload  json.RawMessage `json:"payload"` // JSON if it parses, else text, else {"base64":"…"}
	Retained bool            `json:"retained"`
	QoS      byte            `json:"qos"`
	TS       int64           `json:"ts"` // Unix milliseconds; 0: not known
}

// ShowPayload is a payload as REST and the hub show it: JSON if it parses, else
// text, else {"base64":"…"}.
func ShowPayload(p []byte) json.RawMessage {
	if len(p) > 0 && utf8.Valid(p) && json.Valid(p) {
		return json.RawMessage(p)
	}
	if isText(p) {
		return encode(string(p))
	}
	return encode(struct {
		Base64 []byte `json:"base64"`
	}{p})
}

func isText(p []byte) bool {
	for _, r := range string(p) {
		if r == 0xFFFD || r < 0x20 && r != '\n' && r != '\t' && r != '\r' {
			return false
		}
	}
	return true
}
