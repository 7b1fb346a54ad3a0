package firmware

import (
	"encoding/json"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Unmeasured is the value of a reading that could not be taken: text where a
// number was promised is a reading of bad quality.
const Unmeasured = "unmeasured"

// Measured publishes a reading on tacet/device/{device}/tele/{metric}; metric is a
// name such as temperature, or a channel and a name such as cpu/temperature. What
// cannot be sent now is old news later, and is forgotten. It is safe for
// concurrent use and does not block.
func (a *Agent) Measured(metric, value string) {
	a.enqueue(func() { a.report("tele/"+metric, []byte(value), false) })
}

// State publishes the state of something, such as a door, as [Agent.Measured]
// does; it is retained, and said again on each connection. States are kept for as
// long as the agent is: their metrics are those of the configuration.
func (a *Agent) State(metric, value string) {
	a.enqueue(func() {
		if a.states == nil {
			a.states = map[string]string{}
		}
		a.states[metric] = value
		a.report("tele/"+metric, []byte(value), true)
	})
}

// event is the payload of tacet/device/{device}/event/{name}.
type event struct {
	On    bool   `json:"on"`
	Fault string `json:"fault,omitempty"`
	TS    int64  `json:"ts"` // Unix milliseconds
}

// Event publishes that something has happened at an input of the device, once per
// press; fault is empty, or what is wrong with the input, such as stuck. What
// cannot be sent now is forgotten: who acts on an event acts now.
func (a *Agent) Event(name string, on bool, fault string) {
	b, err := json.Marshal(event{On: on, Fault: fault, TS: time.Now().UnixMilli()})
	if err != nil {
		return // not reached: it has no part that cannot be written
	}
	a.enqueue(func() { a.report("event/"+name, b, false) })
}

func (a *Agent) report(topic string, payload []byte, retain bool) {
	if a.link.up {
		a.publish(area.Message{Topic: area.Root + "/device/" + string(a.cfg.Device) + "/" + topic, Payload: payload, QoS: 1, Retain: retain})
	}
}

// reportStates says the states again, on a new connection.
func (a *Agent) reportStates() {
	for metric, value := range a.states {
		a.report("tele/"+metric, []byte(value), true)
	}
}
