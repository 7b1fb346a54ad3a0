package mapping

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
)

// shelly2Words is the fields of Shelly's second generation, by their path in
// the status of a component ("Shelly Gen2+ API, Components"). What is not here
// is no reading.
var shelly2Words = map[string]word{
	"output": {metric: "switch"}, "apower": {metric: "power"}, "voltage": {metric: "voltage"}, "current": {metric: "current"}, "freq": {metric: "frequency"}, "pf": {metric: "power_factor"},
	"aenergy.total": {metric: "energy", unit: "Wh"}, "ret_aenergy.total": {metric: "returned_energy", unit: "Wh"},
	"temperature.tC": {metric: "temperature"}, "temperature.tF": {metric: "temperature", unit: fahrenheit}, "tC": {metric: "temperature"}, "tF": {metric: "temperature", unit: fahrenheit},
	"rh": {metric: "humidity"}, "battery.percent": {metric: "battery"}, "battery.V": {metric: "battery_voltage"}, "lux": {metric: "illuminance"}, "illuminance": {metric: "illuminance"},
	"alarm": {metric: "alarm"}, "state": {metric: "input"}, "percent": {metric: "percent", unit: "%"}, "current_pos": {metric: "position", unit: "%"}, "brightness": {metric: "brightness", unit: "%"},
	"rssi": {metric: "signal_strength"}, "act_power": {metric: "power"}, "aprt_power": {metric: "apparent_power", unit: "VA"}, "total_act_power": {metric: "power"},
	"total_aprt_power": {metric: "apparent_power", unit: "VA"}, "total_current": {metric: "current"}, "total_act_energy": {metric: "energy", unit: "Wh"}, "total_act": {metric: "energy", unit: "Wh"},
	"total_act_ret_energy": {metric: "returned_energy", unit: "Wh"}, "total_act_ret": {metric: "returned_energy", unit: "Wh"}, "value": {metric: "value"}, "num_people": {metric: "people"},
	"motion": {metric: "motion"}, "mute": {}, "xvoltage": {metric: "voltage"}, "target_C": {metric: "target_temperature", unit: celsius}, "current_C": {metric: "temperature"},
}

// shellies is the device of each topic prefix, as its own messages name it.
type shellies map[string]string

// shelly2 reads {prefix}/status/{component}:{id}, {prefix}/events/rpc and
// {prefix}/online of Shelly's second generation, later ones included. The
// device is the src of a message, else the last level of the prefix.
func (r *Reader) shelly2(s *scan) bool {
	n := len(s.levels)
	switch {
	case n < 2 || s.levels[0] == "shellies":
		return false
	case n >= 3 && s.at(2) == "events" && s.at(1) == "rpc":
		return r.shelly2Events(s)
	case n >= 3 && s.at(2) == "status" && isComponent(s.last()):
		if !s.startsWith('{') {
			return false
		}
		if d, ok := s.of(r.shellyDevice(s.levels[:n-2]), ""); ok {
			if object, ok := s.object(); ok {
				d.shelly2(s.last(), object)
			}
		}
		return true
	case s.last() == "online":
		return r.shelly2Online(s)
	}
	return false
}

// isComponent tells a component of a Shelly: "switch:0", "wifi".
func isComponent(level string) bool {
	kind, id, ok := strings.Cut(level, ":")
	if !ok {
		return slices.Contains([]string{"sys", "wifi", "eth", "cloud", "mqtt", "ble", "ws", "ui", "ht_ui", "plugs_ui", "matter", "knx", "bthome"}, kind)
	}
	return kind != "" && isDigits(id)
}

// shellyDevice is the device of a prefix.
func (r *Reader) shellyDevice(prefix []string) string {
	if src, ok := r.shelly[strings.Join(prefix, "/")]; ok {
		return src
	}
	return prefix[len(prefix)-1]
}

// shelly2Online reads true and false. The topic alone could be anybody's: it is
// a Shelly's where nothing built in reads it.
func (r *Reader) shelly2Online(s *scan) bool {
	w := s.word()
	if w != "true" && w != "false" || s.levels[0] == "home" && len(s.levels) == 4 {
		return false
	}
	if d, ok := s.of(r.shellyDevice(s.levels[:len(s.levels)-1]), ""); ok {
		s.onOff(d, "true", "false", area.PresentGoodbye)
	}
	return true
}

// shelly2Events reads NotifyStatus, NotifyFullStatus and NotifyEvent.
func (r *Reader) shelly2Events(s *scan) bool {
	object, ok := s.object()
	if !ok {
		return true
	}
	prefix, params := s.levels[:len(s.levels)-2], child(object, "params")
	src := nameOr(str(object, "src"), "")
	if src == "" {
		src = r.shellyDevice(prefix)
	} else if at := strings.Join(prefix, "/"); r.shelly[at] != src {
		if len(r.shelly) >= maxDevices {
			s.out.Faults.add(Full)
		} else {
			r.shelly[at] = src
		}
	}
	d, ok := s.of(src, "")
	if !ok {
		return true
	}
	d = d.since(unixMilli(params["ts"]))
	if list, ok := params["events"].([]any); ok {
		for _, e := range list {
			d.shelly2Event(e)
		}
	}
	for _, component := range slices.Sorted(maps.Keys(params)) {
		if status, ok := params[component].(map[string]any); ok && isComponent(component) {
			d.shelly2(component, status)
		}
	}
	return true
}

// shelly2Event reads what was done to an input or a button; what a device says
// of its configuration and its updates is no concern of ours.
func (d subject) shelly2Event(e any) {
	event, _ := e.(map[string]any)
	component := str(event, "component")
	switch kind, _, _ := strings.Cut(component, ":"); kind {
	case "input", "button", "bthomedevice", "bthomesensor":
		if ts := unixMilli(event["ts"]); ts != 0 {
			d = d.since(ts)
		}
		d.happened("action", component, event["event"])
	}
}

// shelly2 reads the status of a component, which is the channel.
func (d subject) shelly2(component string, status map[string]any) {
	kind, _, numbered := strings.Cut(component, ":")
	if kind == "sys" || kind == "cloud" || kind == "mqtt" {
		return
	}
	channel := component
	if !numbered {
		channel = ""
	}
	walk(nil, status, func(path []string, leaf any) {
		field, phase := strings.Join(path, "."), ""
		w, ok := shelly2Words[field]
		if !ok && len(field) > 2 && field[1] == '_' { // a_voltage of a meter with three phases
			phase = "/" + field[:1]
			w, ok = shelly2Words[field[2:]]
		}
		if !ok || w.metric == "" || leaf == nil {
			return
		}
		n := shelly2Name(kind, field, w)
		n.channel = channel
		if channel != "" {
			n.channel += phase
		}
		if text, isText := leaf.(string); isText && !isKnown(n.metric) {
			if _, isState := state(text); !isState {
				return
			}
		}
		d.add(n, ofJSON(n.metric, leaf))
	})
}

// shelly2Name is the metric of a field where the component decides.
func shelly2Name(kind, field string, w word) name {
	switch {
	case field == "alarm" && kind == "flood":
		w.metric = "flood"
	case field == "alarm" && kind == "smoke":
		w.metric = "smoke"
	case field == "output" && (kind == "light" || kind == "rgb" || kind == "rgbw" || kind == "cct"):
		w.metric = "light"
	case field == "state" && kind == "cover":
		w.metric = "cover"
	case field == "value" && kind == "presence":
		w.metric = "presence"
	}
	return w.name()
}

// unixMilli is an instant that a message gives in seconds since 1970, with
// decimals, or in milliseconds; 0 where it gives none that a clock that was set
// could give.
func unixMilli(leaf any) int64 {
	var f float64
	switch v := leaf.(type) {
	case json.Number:
		f, _ = v.Float64()
	case string:
		if n, _, ok := number(v); ok {
			f = n
		}
	}
	switch {
	case f >= 1e9 && f < 1e11:
		return int64(f*1000 + 0.5)
	case f >= 1e12 && f < 1e14:
		return int64(f)
	}
	return 0
}
