package mapping

import (
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Message is an MQTT message as a [Reader] needs it.
type Message struct {
	Topic   string
	Payload []byte
	User    string    // who published it: the MQTT user name, else the client identifier; empty: not known
	Will    bool      // the broker published it for a client that it lost
	Replay  bool      // a retained copy: old news
	At      time.Time // when it came
}

// Value is one reading as the message gave it; the registry makes the
// [area.Reading] of it.
type Value struct {
	Device  area.DeviceID
	Area    string // text of the area, as captured or suggested; empty: none
	Metric  string
	Channel string // empty: none
	Value   any    // float64, bool or string; nil where Bad, or the text that could not be read
	Unit    string // empty: none
	Bad     bool   // not what the metric promised
	TS      int64  // when it was measured, in Unix milliseconds; 0: when the message came
}

// Presence is what a message says of a device's being there.
type Presence struct {
	Device area.DeviceID
	Area   string // as of [Value]
	State  area.Presence
	Reason string // one of the area.Present… reasons
}

// Moment is something that happened at a device and does not last: a button
// that was pressed.
type Moment struct {
	Device  area.DeviceID
	Area    string // as of [Value]
	Name    string // "action"
	Channel string // empty: none
	Value   any    // float64, bool or string
	TS      int64  // as of [Value]
}

// Sight says that a device is there, and what is known of it.
type Sight struct {
	Device     area.DeviceID
	Area       string            // as of [Value]
	Name       string            // empty: not known
	Attributes map[string]string // an empty value takes the attribute away
}

// Event is what a message says to a hub group.
type Event struct {
	Group    area.Group
	Event    string
	Captures map[string]string // never nil
}

// Outcome is what became of a message.
type Outcome struct {
	Values    []Value
	Presences []Presence
	Moments   []Moment
	Sights    []Sight
	Gone      []area.DeviceID // devices that were taken away
	Events    []Event
	Again     []string // topics whose newest message reads differently now
	By        string   // the convention that read it; empty: a rule, or nothing
	Obscure   []string // what of a discovery's templates was not understood
	Faults    Faults
}

// Devices is whom an outcome says something of.
func (out *Outcome) Devices() (list []area.DeviceID) {
	for i := range out.Values {
		list = append(list, out.Values[i].Device)
	}
	for i := range out.Presences {
		list = append(list, out.Presences[i].Device)
	}
	return list
}
