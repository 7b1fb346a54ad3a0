package mapping

import (
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
)

// shelly1Words is the metrics of Shelly's first generation (Shelly API,
// "MQTT"), with the units that it documents where they are not canonical.
var shelly1Words = map[string]word{
	"ext_temperature": {metric: "temperature"}, "ext_humidity": {metric: "humidity"}, "lux": {metric: "illuminance"}, "temperature_f": {metric: "temperature", unit: fahrenheit},
	"temperature": {metric: "temperature"}, "humidity": {metric: "humidity"}, "battery": {metric: "battery"}, "voltage": {metric: "voltage"}, "current": {metric: "current"},
	"power": {metric: "power"}, "energy": {metric: "energy", unit: "Wmin"}, "total": {metric: "energy", unit: "Wh"}, "total_returned": {metric: "returned_energy", unit: "Wh"},
	"returned_energy": {metric: "returned_energy", unit: "Wmin"}, "pf": {metric: "power_factor"}, "reactive_power": {metric: "reactive_power", unit: "var"},
	"motion": {metric: "motion"}, "vibration": {metric: "vibration"}, "flood": {metric: "flood"}, "smoke": {metric: "smoke"}, "gas": {metric: "gas"}, "tilt": {metric: "tilt", unit: "°"},
	"state": {metric: "contact"}, "concentration": {metric: "concentration", unit: "ppm"}, "pos": {metric: "position", unit: "%"}, "overtemperature": {metric: "overtemperature"},
	"relay": {metric: "switch"}, "light": {metric: "light"}, "color": {metric: "light"}, "white": {metric: "light"}, "input": {metric: "input"},
}

// shelly1 reads shellies/{id}/… of Shelly's first generation.
func (r *Reader) shelly1(s *scan) bool {
	if s.levels[0] != "shellies" || len(s.levels) < 2 {
		return false
	}
	what := s.last()
	if what == "announce" || len(s.levels) == 2 {
		s.shelly1Announce()
		return true
	}
	d, ok := s.of(s.levels[1], "")
	if !ok || what == "command" {
		return true
	}
	path := s.levels[2:]
	switch {
	case len(path) == 1 && what == "online":
		s.onOff(d, "true", "false", area.PresentGoodbye)
	case path[0] == "input_event":
		if object, ok := s.object(); ok {
			d.happened("action", strings.Join(path[1:], "/"), object["event"])
		}
	case path[0] == "longpush":
		if s.word() == "1" {
			d.happened("action", strings.Join(path[1:], "/"), "long")
		}
	default:
		s.shelly1Value(d, path)
	}
	return true
}

// shelly1Announce reads who is there, on connecting.
func (s *scan) shelly1Announce() {
	if s.last() != "announce" {
		return
	}
	if object, ok := s.object(); ok {
		if d, ok := s.of(str(object, "id"), ""); ok {
			d.seen("", "model", str(object, "model"), "firmware", str(object, "fw_ver"))
		}
	}
}

// shelly1Value reads a bare value whose metric is in the topic: sensor/{metric},
// {metric}/{n} and {component}/{n}/{metric}.
func (s *scan) shelly1Value(d subject, path []string) {
	metric, channel := path[0], ""
	switch {
	case path[0] == "sensor" && len(path) == 2:
		metric = path[1]
	case len(path) == 2:
		channel = path[1]
	case len(path) == 3:
		channel, metric = path[1], path[2]
		if path[0] != "relay" && path[0] != "light" {
			channel = path[0] + "/" + path[1]
		}
	}
	w, ok := shelly1Words[metric]
	if !ok || len(path) > 3 || s.startsWith('{') || s.startsWith('[') || path[0] == "ext_temperatures" {
		return
	}
	if p, ok := s.text(); ok {
		n := w.name()
		n.channel = channel
		d.add(n, ofPayload(n.metric, shellyState(p)))
	}
}

// shellyState is a payload with Shelly's words for two states.
func shellyState(p []byte) []byte {
	if string(p) == "close" {
		return []byte("closed")
	}
	return p
}
