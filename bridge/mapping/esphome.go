package mapping

import (
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
)

// esphomeKinds is the component types that have a state of their own, and
// whether it is one of two.
var esphomeKinds = map[string]bool{
	"sensor": false, "binary_sensor": true, "text_sensor": false, "switch": true, "light": true, "fan": true, "number": false, "lock": false, "cover": false, "select": false,
	"event": false, "climate": false, "valve": false, "text": false, "alarm_control_panel": false, "button": false, "update": false,
}

// esphome reads {prefix}/{component type}/{name}/state and {prefix}/status
// (ESPHome, "MQTT Client Component") of a node without Home Assistant
// discovery. The last level of the prefix is the device.
func (r *Reader) esphome(s *scan) bool {
	n := len(s.levels)
	if n >= 2 && s.last() == "status" {
		if w := s.word(); w != "online" && w != "offline" {
			return false
		}
		if d, ok := s.of(s.levels[n-2], ""); ok {
			s.onOff(d, "online", "offline", area.PresentGoodbye)
		}
		return true
	}
	if n < 4 || s.last() != "state" {
		return false
	}
	twoStates, known := esphomeKinds[s.at(3)]
	if !known {
		return false
	}
	if d, ok := s.of(s.levels[n-4], ""); ok {
		s.esphomeState(d, s.at(3), s.at(2), twoStates)
	}
	return true
}

// esphomeState reads the state of one component. What a name means is known
// where it is a word for a metric; a switch, a lamp and a fan are known by
// their type, and have the name as channel.
func (s *scan) esphomeState(d subject, kind, called string, twoStates bool) {
	n := canonical(called)
	switch kind {
	case "event":
		if object, ok := s.object(); ok {
			d.happened("event", called, object["event_type"])
		}
		return
	case "switch", "light", "fan":
		if n.metric != kind {
			n = name{metric: kind, channel: called}
		}
	case "sensor", "binary_sensor", "number", "cover", "lock":
	default:
		return // text
	}
	p, ok := s.text()
	if !ok {
		return
	}
	if p[0] == '{' {
		object, ok := s.object()
		if !ok {
			return
		}
		p = []byte(str(object, "state"))
	}
	v := ofPayload(n.metric, p)
	if twoStates {
		v = ofTwoStates(string(p))
	} else if kind == "sensor" && v.why == Text {
		v = verdict{bad: true, why: Text} // a sensor of this type promises a number
	}
	d.add(n, v)
}

// ofTwoStates is what text says where one of two states was promised.
func ofTwoStates(s string) verdict {
	if on, ok := state(strings.TrimSpace(s)); ok {
		return verdict{value: on}
	}
	switch s {
	case "1":
		return verdict{value: true}
	case "0":
		return verdict{value: false}
	}
	return verdict{bad: true, why: Text}
}
