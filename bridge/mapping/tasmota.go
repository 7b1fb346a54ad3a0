package mapping

import (
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
)

// tasmotaSkip is what a Tasmota device says of itself.
var tasmotaSkip = map[string]bool{
	"Time": true, "TempUnit": true, "PressureUnit": true, "SpeedUnit": true, "Id": true, "Model": true, "TotalStartTime": true, "Epoch": true,
	"Uptime": true, "UptimeSec": true, "Heap": true, "SleepMode": true, "Sleep": true, "LoadAvg": true, "MqttCount": true, "Berry": true,
	"AP": true, "SSId": true, "BSSId": true, "Channel": true, "Mode": true, "LinkCount": true, "Downtime": true, "Hostname": true, "IPAddress": true,
}

// tasmotaWords is what differs from the common names. RSSI is a percentage
// here, and Signal has the dBm (Tasmota, "Status response").
var tasmotaWords = map[string]word{
	"Signal": {metric: "signal_strength"}, "RSSI": {metric: "signal_quality", unit: "%"}, "Voltage": {metric: "voltage"}, "Current": {metric: "current"},
	"Frequency": {metric: "frequency"}, "Factor": {metric: "power_factor"}, "ApparentPower": {metric: "apparent_power", unit: "VA"},
	"ReactivePower": {metric: "reactive_power", unit: "var"}, "Today": {metric: "energy_today", unit: "kWh"}, "Yesterday": {metric: "energy_yesterday", unit: "kWh"},
	"Period": {metric: "energy_period", unit: "Wh"}, "Vcc": {metric: "voltage"}, "DewPoint": {metric: "dew_point", unit: celsius},
	"Illuminance": {metric: "illuminance"}, "PM1": {metric: "pm1"}, "PM10": {metric: "pm10"},
}

// tasmota reads a FullTopic with tele, stat or cmnd in any position (Tasmota,
// "MQTT"). The level before the last, or, where that is the prefix, the one
// before the prefix, is the device.
func (r *Reader) tasmota(s *scan) bool {
	topic, prefix, ok := tasmotaTopic(s.levels)
	if !ok {
		return false
	}
	if prefix == "cmnd" {
		return true
	}
	d, ok := s.of(topic, "")
	if !ok {
		return true
	}
	switch what := s.last(); {
	case what == "LWT":
		s.onOff(d, "online", "offline", area.PresentGoodbye)
	case isPower(what):
		if p, ok := s.text(); ok {
			d.add(canonical(what), ofPayload("switch", p))
		}
	case what == "RESULT":
		s.tasmotaResult(d)
	case what == "SENSOR" || what == "STATE":
		if object, ok := s.object(); ok {
			d.tasmota(object)
		}
	case what == "STATUS8", what == "STATUS10", what == "STATUS11":
		if object, ok := s.object(); ok {
			d.tasmota(child(object, "StatusSNS"))
			d.tasmota(child(object, "StatusSTS"))
		}
	}
	return true
}

// tasmotaTopic finds the device of a FullTopic.
func tasmotaTopic(levels []string) (topic, prefix string, ok bool) {
	last := len(levels) - 1
	if last < 2 {
		return "", "", false
	}
	what := levels[last]
	known := what == "SENSOR" || what == "STATE" || what == "LWT" || what == "RESULT" || what == "UPTIME" || isPower(what) || strings.HasPrefix(what, "STATUS") || strings.HasPrefix(what, "INFO")
	for i := last - 1; i >= 0; i-- {
		switch prefix = levels[i]; prefix {
		case "tele", "stat", "cmnd":
			if !known && prefix != "cmnd" {
				return "", "", false
			}
			if i == last-1 && i > 0 {
				return levels[i-1], prefix, true
			}
			return levels[last-1], prefix, i < last-1
		}
	}
	return "", "", false
}

// isPower tells POWER, POWER1, POWER2.
func isPower(what string) bool {
	n, ok := strings.CutPrefix(what, "POWER")
	return ok && (n == "" || isDigits(n))
}

// tasmotaResult reads what of a command's result is a state: the relays, and
// what was done to a button or a switch.
func (s *scan) tasmotaResult(d subject) {
	object, ok := s.object()
	if !ok {
		return
	}
	walk(nil, object, func(path []string, leaf any) {
		switch {
		case len(path) == 1 && isPower(path[0]):
			d.add(canonical(path[0]), ofJSON("switch", leaf))
		case len(path) == 2 && path[1] == "Action":
			d.happened("action", path[0], leaf)
		}
	})
}

// tasmota reads the object of SENSOR or STATE. Its units stand in it, beside
// the sensors; the name of a sensor is the channel.
func (d subject) tasmota(object map[string]any) {
	by := dialect{skip: tasmotaSkip, words: tasmotaWords, units: map[string]string{}, nested: true}
	if str(object, "TempUnit") == "F" {
		by.units["temperature"], by.units["dew_point"] = fahrenheit, fahrenheit
	}
	if unit := str(object, "PressureUnit"); isName(unit) {
		by.units["pressure"] = unit
	}
	if unit := str(object, "SpeedUnit"); isName(unit) {
		by.units["Speed"] = unit
	}
	d.leaves(object, by)
}
