package mapping

import (
	"encoding/json"
	"strings"
	"time"
)

// senmlUnits is how units of RFC 8428 §12.1 and RFC 8798 are written here; the
// others stay as they are.
var senmlUnits = map[string]string{"Cel": celsius, "%RH": "%", "%EL": "%", "far": fahrenheit, "ug/m3": "µg/m³", "deg": "°", "lx": "lx", "/": ""}

// senmlMetrics is what a record without a name of its own measures.
var senmlMetrics = map[string]string{
	"Cel": "temperature", "far": "temperature", "%RH": "humidity", "Pa": "pressure", "hPa": "pressure", "lx": "illuminance", "W": "power", "V": "voltage", "A": "current", "Hz": "frequency",
	"dB": "noise", "dBm": "signal_strength", "%EL": "battery", "kWh": "energy", "Wh": "energy", "J": "energy", "ppm": "co2",
}

// senmlRelative is where a time of RFC 8428 §4.5.3 begins to be absolute, in
// seconds.
const senmlRelative = 1 << 28

// senmlBase is what one record says for those behind it.
type senmlBase struct {
	name, unit string
	time       float64
	value      float64
}

// senml reads a pack of RFC 8428 in JSON: the base name is the device, unless
// the rule names one.
func (s *scan) senml(r *rule) {
	whole, ok := s.json()
	if !ok {
		return
	}
	list, ok := whole.([]any)
	if !ok {
		s.out.Faults.add(Shape)
		return
	}
	if len(list) > MaxValues {
		s.out.Faults.add(Many)
		list = list[:MaxValues]
	}
	given, place := r.device.render(s.levels), r.area.render(s.levels)
	var base senmlBase
	for _, item := range list {
		record, ok := item.(map[string]any)
		if !ok || newer(record) {
			s.out.Faults.add(Shape)
			continue
		}
		base.take(record)
		s.senmlRecord(record, base, given, place)
	}
}

// newer tells a record of a later version of SenML, or one that demands
// something that is not known ("a name that ends in _ must be understood").
func newer(record map[string]any) bool {
	for key := range record {
		if strings.HasSuffix(key, "_") {
			return true
		}
	}
	version, _ := record["bver"].(json.Number)
	n, _ := version.Float64()
	return n > 10
}

func (b *senmlBase) take(record map[string]any) {
	if v, ok := record["bn"].(string); ok {
		b.name = v
	}
	if v, ok := record["bu"].(string); ok {
		b.unit = v
	}
	if v, ok := record["bt"].(json.Number); ok {
		b.time, _ = v.Float64()
	}
	if v, ok := record["bv"].(json.Number); ok {
		b.value, _ = v.Float64()
	}
}

// senmlRecord reads one record. Without a base name the name is the device, or,
// where the rule names that, the metric.
func (s *scan) senmlRecord(record map[string]any, base senmlBase, given, place string) {
	own, unit := str(record, "n"), base.unit
	if u, ok := record["u"].(string); ok {
		unit = u
	}
	device, metric := strings.TrimRight(base.name, ":/"), strings.TrimLeft(own, ":/")
	switch {
	case given != "":
		device = given
		if metric == "" {
			metric = strings.TrimRight(base.name, ":/")
		}
	case base.name == "":
		device, metric = own, ""
	}
	if metric == "" {
		if metric = senmlMetrics[unit]; metric == "" {
			metric = "value"
		}
	}
	v, has := senmlValue(record, metric, base)
	if !has {
		return
	}
	d, ok := s.of(device, place)
	if !ok {
		return
	}
	n := canonical(metric)
	if unit != "" {
		n.unit = unit
		if ours, ok := senmlUnits[unit]; ok {
			n.unit = ours
		}
	}
	d.since(s.senmlTime(record, base)).add(n, v)
}

// senmlValue is a record's v, vb or vs; sums and data are no readings.
func senmlValue(record map[string]any, metric string, base senmlBase) (verdict, bool) {
	if v, ok := record["v"]; ok {
		judged := ofJSON(metric, v)
		if f, ok := judged.value.(float64); ok {
			judged.value = f + base.value
		}
		return judged, true
	}
	if v, ok := record["vb"]; ok {
		return ofJSON(metric, v), true
	}
	if v, ok := record["vs"].(string); ok {
		return ofText(metric, v), true
	}
	return verdict{}, false
}

// senmlTime is when a record was measured; a time that is small counts from
// now.
func (s *scan) senmlTime(record map[string]any, base senmlBase) int64 {
	t := base.time
	if v, ok := record["t"].(json.Number); ok {
		f, _ := v.Float64()
		t += f
	}
	switch {
	case t == 0:
		return 0
	case t >= senmlRelative && t < 1e11:
		return int64(t*1000 + 0.5)
	case t > -senmlRelative && t < 0:
		return s.At.Add(time.Duration(t * float64(time.Second))).UnixMilli()
	}
	return 0
}
