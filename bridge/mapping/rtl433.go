package mapping

import (
	"slices"
	"strings"
)

// rtlSkip is what rtl_433 says of the device and of its own radio.
var rtlSkip = map[string]bool{
	"time": true, "model": true, "id": true, "channel": true, "subtype": true, "type": true, "brand": true, "mic": true, "protocol": true, "mod": true, "freq": true, "freq1": true, "freq2": true,
	"snr": true, "noise": true, "sequence_num": true, "sequence": true, "raw_msg": true, "data": true, "code": true, "codes": true, "rows": true, "count": true, "num_rows": true, "len": true,
	"message_type": true, "msg_type": true, "msg_counter": true, "counter": true, "startup": true, "test": true, "learn": true, "sensor_id": true, "device": true, "house_code": true, "rid": true, "sid": true,
	"device_id": true, "transmit": true, "exception": true, "flags": true, "unknown": true, "version": true, "command": true, "cmd": true, "group": true, "unit": true, "radio_clock": true,
}

// rtlSuffixes is the units that end the names of rtl_433's fields
// (DATA_FORMAT.md), the longer ones first.
var rtlSuffixes = []struct{ suffix, unit string }{
	{"_km_h", "km/h"}, {"_mi_h", "mph"}, {"_m_s", "m/s"}, {"_mm_h", "mm/h"}, {"_in_h", "in/h"}, {"_inHg", "inHg"}, {"_hPa", "hPa"}, {"_kPa", "kPa"}, {"_PSI", "PSI"}, {"_psi", "PSI"}, {"_bar", "bar"},
	{"_ppm", "ppm"}, {"_ppb", "ppb"}, {"_ug_m3", "µg/m³"}, {"_lux", "lx"}, {"_klx", "klx"}, {"_kWh", "kWh"}, {"_Wh", "Wh"}, {"_kW", "kW"}, {"_dBm", "dBm"}, {"_dB", "dB"}, {"_MHz", "MHz"}, {"_Hz", "Hz"},
	{"_mV", "mV"}, {"_deg", "°"}, {"_min", "min"}, {"_pct", "%"}, {"_mm", "mm"}, {"_cm", "cm"}, {"_km", "km"}, {"_in", "in"}, {"_C", celsius}, {"_F", fahrenheit}, {"_V", "V"}, {"_A", "A"}, {"_W", "W"}, {"_s", "s"},
}

// rtlNames is what is called otherwise here.
var rtlNames = map[string]string{"light": "illuminance", "pm2_5": "pm25", "estimated_pm10_0": "pm10", "pm10_0": "pm10", "pm1_0": "pm1", "rssi": "signal_strength"}

// rtl433 reads rtl_433/{host}/events and
// rtl_433/{host}/devices[/type][/model][/subtype][/channel][/id]/{field}.
func (r *Reader) rtl433(s *scan) bool {
	if s.levels[0] != "rtl_433" || len(s.levels) < 3 {
		return false
	}
	switch s.levels[2] {
	case "events":
		if object, ok := s.object(); ok {
			s.rtl433Event(object)
		}
	case "devices":
		if len(s.levels) > 4 {
			s.rtl433Field(s.levels[3:len(s.levels)-1], s.last())
		}
	}
	return true
}

// rtl433Event reads one transmission of a device: its model, channel and id,
// those that there are, name it.
func (s *scan) rtl433Event(object map[string]any) {
	var who []string
	for _, key := range []string{"model", "channel", "id"} {
		if v := str(object, key); v != "" {
			who = append(who, v)
		}
	}
	if len(who) == 0 || str(object, "model") == "" {
		s.out.Faults.add(Name)
		return
	}
	d, ok := s.of(strings.Join(who, "-"), "")
	if !ok {
		return
	}
	walk(nil, object, func(path []string, leaf any) {
		if len(path) == 1 && !rtlSkip[path[0]] {
			d.rtl433(path[0], leaf)
		}
	})
}

// rtl433Field reads a field of its own. The type of a tyre's sensor and a
// subtype, which is there where five levels or four without channel are, are no
// part of who it is.
func (s *scan) rtl433Field(who []string, field string) {
	if len(who) > 1 && slices.Contains([]string{"TPMS", "EnergyMeter", "Weather"}, who[0]) {
		who = who[1:]
	}
	if len(who) > 3 {
		who = append([]string{who[0]}, who[len(who)-2:]...)
	}
	if rtlSkip[field] {
		return
	}
	d, ok := s.of(strings.Join(who, "-"), "")
	if !ok {
		return
	}
	if p, ok := s.text(); ok {
		d.rtl433(field, string(p))
	}
}

// rtl433 reads one field: its name ends in its unit.
func (d subject) rtl433(field string, leaf any) {
	if momentary[field] {
		d.happened(field, "", leaf)
		return
	}
	n := rtlName(field)
	if text, ok := leaf.(string); ok {
		v := ofPayload(n.metric, []byte(strings.TrimSpace(text)))
		if !isKnown(n.metric) && v.why == Text {
			return // names and codes
		}
		d.add(n, v)
		return
	}
	d.add(n, ofJSON(n.metric, leaf))
}

// rtlName is the metric of a field: temperature_2_C is the second thermometer
// of a device.
func rtlName(field string) name {
	base, unit := field, ""
	for _, s := range rtlSuffixes {
		if b, ok := strings.CutSuffix(field, s.suffix); ok && b != "" {
			base, unit = b, s.unit
			break
		}
	}
	channel := ""
	if at := strings.LastIndexByte(base, '_'); at > 0 && isDigits(base[at+1:]) && isKnown(canonical(base[:at]).metric) {
		base, channel = base[:at], base[at+1:]
	}
	if to, ok := rtlNames[base]; ok {
		base = to
	}
	n := canonical(base)
	n.channel = channel
	switch {
	case unit != "":
		n.unit = unit
	case field == "rssi":
		n.unit = "dB" // of full scale, as rtl_433 documents it
	}
	if field == "battery_V" || field == "battery_mV" {
		n.metric = "battery_voltage"
	}
	return n
}
