package mapping

import (
	"maps"
	"slices"
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
)

// zigbeeUnits is what Zigbee2MQTT documents beside the canonical units.
var zigbeeUnits = map[string]string{
	"device_temperature": celsius, "local_temperature": celsius, "occupied_heating_setpoint": celsius, "current_heating_setpoint": celsius,
	"soil_moisture": "%", "brightness_percent": "%", "position": "%", "power_factor": "", "voc": "ppb", "formaldehyd": "mg/m³",
}

// zigbeeSkip is the keys that say something of the bridge, not of the room.
var zigbeeSkip = map[string]bool{
	"last_seen": true, "elapsed": true, "update": true, "update_available": true, "device": true, "color": true, "color_options": true,
	"power_on_behavior": true, "action_group": true, "action_transaction_time": true, "action_rate": true, "action_step_size": true, "device_temperature_calibration": true,
	"temperature_calibration": true, "humidity_calibration": true, "transition": true, "group_list": true, "scene": true,
}

// zigbee2mqtt reads zigbee2mqtt/{friendly name} (Zigbee2MQTT, "MQTT topics and
// messages"). The last level of the friendly name is the device, what is before
// it the area.
func (r *Reader) zigbee2mqtt(s *scan) bool {
	if s.levels[0] != "zigbee2mqtt" || len(s.levels) < 2 {
		return false
	}
	friendly, last := s.levels[1:], s.last()
	switch {
	case friendly[0] == "bridge":
		return true
	case len(friendly) > 1 && (last == "set" || last == "get" || friendly[len(friendly)-2] == "set" || friendly[len(friendly)-2] == "get"):
		return true // commands
	case len(friendly) > 1 && last == "availability":
		s.zigbeeAvailability(friendly[:len(friendly)-1])
	case s.startsWith('{'):
		s.zigbeeState(friendly)
	case len(friendly) > 1 && isKnown(canonical(last).metric): // output: attribute
		if d, ok := s.zigbee(friendly[:len(friendly)-1]); ok {
			if p, ok := s.text(); ok {
				n := canonical(last)
				d.add(n, ofPayload(n.metric, p))
			}
		}
	}
	return true
}

// startsWith tells the first byte of a payload.
func (s *scan) startsWith(c byte) bool {
	p := strings.TrimSpace(string(s.Payload[:min(len(s.Payload), 16)]))
	return p != "" && p[0] == c
}

// zigbee begins the values of the device of a friendly name.
func (s *scan) zigbee(friendly []string) (subject, bool) {
	return s.of(friendly[len(friendly)-1], strings.Join(friendly[:len(friendly)-1], "/"))
}

// zigbeeAvailability reads {"state":"online"}, or the bare word of older ones.
// Zigbee2MQTT itself finds out that a device is silent.
func (s *scan) zigbeeAvailability(friendly []string) {
	d, ok := s.zigbee(friendly)
	if !ok {
		return
	}
	if s.startsWith('{') {
		object, ok := s.object()
		if !ok {
			return
		}
		s.Payload = []byte(str(object, "state"))
	}
	s.onOff(d, "online", "offline", area.PresentTimeout)
}

// zigbeeState reads the state of a device. That of a plug or a lamp is a
// switch; the voltage of a battery is in millivolts.
func (s *scan) zigbeeState(friendly []string) {
	object, ok := s.object()
	if !ok {
		return
	}
	d, ok := s.zigbee(friendly)
	if !ok {
		return
	}
	by := dialect{skip: zigbeeSkip, units: zigbeeUnits}
	if _, battery := object["battery"]; battery {
		by.words = map[string]word{"voltage": {metric: "voltage", unit: "mV"}}
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		endpoint, isState := strings.CutPrefix(key, "state")
		if text, ok := object[key].(string); ok && isState && isOnOff(text) && (endpoint == "" || endpoint[0] == '_') {
			n := name{metric: "switch", channel: strings.TrimPrefix(endpoint, "_")}
			d.add(n, ofText("switch", text))
			delete(object, key)
		}
	}
	if about := child(object, "device"); about != nil {
		d.seen("", "model", str(about, "model"), "manufacturer", str(about, "manufacturerName"))
	}
	d.leaves(object, by)
}

func isOnOff(s string) bool { return strings.EqualFold(s, "on") || strings.EqualFold(s, "off") }
