package mapping

import "strings"

// Units of temperature. The same quantity in both is kept in °C alone.
const (
	celsius    = "°C"
	fahrenheit = "°F"
)

// unitOf is the canonical unit of each metric that promises a number.
var unitOf = map[string]string{
	"temperature": "°C", "humidity": "%", "pressure": "hPa", "co2": "ppm", "pm1": "µg/m³", "pm25": "µg/m³", "pm10": "µg/m³",
	"illuminance": "lx", "noise": "dB", "power": "W", "voltage": "V", "current": "A", "energy": "kWh", "frequency": "Hz",
	"battery": "%", "battery_voltage": "V", "signal_strength": "dBm",
}

// UnitOf is the canonical unit of a metric; empty: none.
func UnitOf(metric string) string { return unitOf[metric] }

// twoState is the metrics that promise one of two states.
var twoState = map[string]bool{
	"occupancy": true, "contact": true, "switch": true, "motion": true, "presence": true, "door": true, "window": true, "opening": true,
	"water_leak": true, "smoke": true, "tamper": true, "vibration": true, "light": true, "lock": true, "relay": true, "alarm": true,
	"battery_ok": true, "battery_low": true, "flood": true, "gas": true, "garage_door": true, "moving": true, "plug": true, "problem": true, "running": true,
}

// word is a name that sensors use for a metric; a unit that is not the
// canonical one stands beside it.
type word struct{ metric, unit string }

// aliases is case-sensitive: Power is watts, POWER a switch.
var aliases = map[string]word{
	"Temperature": {metric: "temperature"}, "tC": {metric: "temperature"}, "tempc": {metric: "temperature"}, "tem": {metric: "temperature"},
	"temp": {metric: "temperature"}, "temperature_C": {metric: "temperature"}, "atmp": {metric: "temperature"},
	"ext_temperature": {metric: "temperature"}, "temperatureSensor": {metric: "temperature"},
	"tF": {metric: "temperature", unit: fahrenheit}, "tempf": {metric: "temperature", unit: fahrenheit},
	"temp_f": {metric: "temperature", unit: fahrenheit}, "temperature_F": {metric: "temperature", unit: fahrenheit}, "temperature_f": {metric: "temperature", unit: fahrenheit},
	"Humidity": {metric: "humidity"}, "rh": {metric: "humidity"}, "hum": {metric: "humidity"}, "rhum": {metric: "humidity"},
	"humiditySensor": {metric: "humidity"},
	"Pressure":       {metric: "pressure"}, "pressure_hPa": {metric: "pressure"},
	"CarbonDioxide": {metric: "co2"}, "rco2": {metric: "co2"}, "carbon_dioxide": {metric: "co2"},
	"PM2.5": {metric: "pm25"}, "pm02": {metric: "pm25"}, "pm2_5": {metric: "pm25"},
	"batt": {metric: "battery"}, "battery.percent": {metric: "battery"}, "battery_percent": {metric: "battery"},
	"volt": {metric: "battery_voltage"}, "battery.V": {metric: "battery_voltage"},
	"rssi": {metric: "signal_strength"}, "RSSI": {metric: "signal_strength"},
	"Power": {metric: "power"}, "apower": {metric: "power"}, "ActivePower": {metric: "power"},
	"Total": {metric: "energy"}, "aenergy.total": {metric: "energy", unit: "Wh"},
	"output": {metric: "switch"}, "POWER": {metric: "switch"},
	"sound_pressure": {metric: "noise"}, "Noise": {metric: "noise"},
}

// name is what a value is called.
type name struct{ metric, channel, unit string }

// canonical is the metric that a sensor's word means, with its unit; a word
// that is not known stays as it is and has none. Switch1 and POWER2 are
// channels of switch.
func canonical(s string) name {
	if w, ok := aliases[s]; ok {
		return w.name()
	}
	if lower := strings.ToLower(s); isKnown(lower) {
		return name{metric: lower, unit: unitOf[lower]}
	}
	for _, prefix := range []string{"Switch", "POWER"} {
		if n, ok := strings.CutPrefix(s, prefix); ok && isDigits(n) {
			return name{metric: "switch", channel: n}
		}
	}
	return name{metric: s}
}

func (w word) name() name {
	if w.unit == "" {
		w.unit = unitOf[w.metric]
	}
	return name{metric: w.metric, unit: w.unit}
}

// nameLeaf is what the leaf of a JSON object is called: by the longest end of
// its path that is a known word, else by its whole path. A known word below
// something else has that as its channel, so that three probes in one message
// stay apart; {"temperature":{"value":21}} is the temperature itself.
func nameLeaf(path []string) name {
	if n := len(path); n >= 2 && (path[n-1] == "value" || path[n-1] == "val") {
		path = path[:n-1]
	}
	if n := len(path); n >= 2 && isDigits(path[n-1]) { // {"temperatureSensor":{"1":20}}
		if found := canonical(path[n-2]); isKnown(found.metric) {
			found.channel = path[n-1]
			return found
		}
	}
	for take := min(2, len(path)); take > 0; take-- {
		head, tail := path[:len(path)-take], path[len(path)-take:]
		found := canonical(strings.Join(tail, "."))
		if !isKnown(found.metric) {
			continue
		}
		above := strings.Join(head, ".")
		if above != "" && canonical(head[len(head)-1]).metric != found.metric && found.channel == "" {
			found.channel = above
		}
		return found
	}
	return name{metric: strings.Join(path, ".")}
}

// isKnown tells whether a metric is canonical: what it promises is known.
func isKnown(metric string) bool { return unitOf[metric] != "" || twoState[metric] }

func isDigits(s string) bool {
	return s != "" && len(s) <= 3 && strings.Trim(s, "0123456789") == ""
}
