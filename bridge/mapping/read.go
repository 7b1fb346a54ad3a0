package mapping

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tacet-hub/tacet/broker/area"
)

// reader turns one payload into values of one device.
type reader struct {
	out  *Outcome
	base Value // device and area
	rule *rule
}

// read adds the readings that r makes of a payload.
func (out *Outcome) read(r *rule, levels []string, payload []byte) {
	switch {
	case len(payload) > MaxPayload:
		out.Faults.add(Size)
		return
	case !utf8.Valid(payload):
		out.Faults.add(Binary)
		return
	}
	payload = bytes.TrimSpace(payload)
	if len(payload) == 0 {
		out.Faults.add(Empty)
		return
	}
	d, ok := out.reader(r, levels)
	if !ok {
		return
	}
	if r.format == Raw {
		d.raw(levels, payload)
	} else {
		d.json(levels, payload)
	}
}

// reader renders who the readings are of.
func (out *Outcome) reader(r *rule, levels []string) (reader, bool) {
	device, err := area.ParseSensorID(r.device.render(levels))
	if err != nil {
		out.Faults.add(Name)
		return reader{}, false
	}
	place := r.area.render(levels)
	if place != "" && !isName(place) {
		out.Faults.add(Name)
		place = ""
	}
	return reader{out: out, base: Value{Device: device, Area: place}, rule: r}, true
}

// raw reads a payload that is one value.
func (d reader) raw(levels []string, payload []byte) {
	n := canonical(d.rule.metric.render(levels))
	if channel := d.rule.channel.render(levels); channel != "" {
		n.channel = channel
	}
	switch {
	case payload[0] == '[':
		d.out.Faults.add(List)
	case payload[0] == '{':
		d.out.Faults.add(Shape)
	case string(payload) == "null":
		d.out.Faults.add(Null)
	default:
		d.add(n, ofText(n.metric, string(payload)))
	}
}

// json reads a payload that is an object.
func (d reader) json(levels []string, payload []byte) {
	if TooDeep(payload, maxDepth) {
		d.out.Faults.add(Depth)
		return
	}
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.UseNumber()
	var whole any
	if err := decoder.Decode(&whole); err != nil || len(bytes.TrimSpace(payload[decoder.InputOffset():])) > 0 {
		d.out.Faults.add(Syntax)
		return
	}
	object, ok := whole.(map[string]any)
	if !ok {
		d.out.Faults.add(Shape)
		return
	}
	channel := d.rule.channel.render(levels)
	d.walk(nil, object, func(path []string, leaf any) {
		n, v, ok := d.leaf(path, leaf)
		if channel != "" {
			n.channel = channel
		}
		if ok {
			d.add(n, v)
		}
	})
}

// walk visits every leaf, in the order of its keys, so that the same payload
// always gives the same values.
func (d reader) walk(path []string, object map[string]any, visit func([]string, any)) {
	for _, key := range slices.Sorted(maps.Keys(object)) {
		below := append(path, key)
		if child, ok := object[key].(map[string]any); ok {
			d.walk(below, child, visit)
			continue
		}
		visit(below, object[key])
	}
}

// leaf judges one leaf: as its field says, else by its own name. Text of a
// name that is not known is no reading unless it is a state, and no fault: most
// JSON has some.
func (d reader) leaf(path []string, leaf any) (name, verdict, bool) {
	if len(d.rule.fields) > 0 {
		f, ok := d.rule.fields[strings.Join(path, ".")]
		return name{metric: f.metric, channel: f.channel, unit: unitOf[f.metric]}, ofJSON(f.metric, leaf), ok
	}
	n := nameLeaf(path)
	if text, ok := leaf.(string); ok && !isKnown(n.metric) {
		if _, isState := state(text); !isState {
			return name{}, verdict{}, false
		}
	}
	return n, ofJSON(n.metric, leaf), true
}

// add keeps a value, or counts why it is none.
func (d reader) add(n name, v verdict) {
	d.out.Faults.add(v.why)
	if !v.reading() {
		return
	}
	switch {
	case !isName(n.metric) || n.channel != "" && !isName(n.channel):
		d.out.Faults.add(Name)
	case len(d.out.Values) >= MaxValues:
		d.out.Faults.add(Many)
	default:
		value := d.base
		value.Metric, value.Channel, value.Unit, value.Value, value.Bad = n.metric, n.channel, n.unit, v.value, v.bad
		d.out.Values = append(d.out.Values, value)
	}
}

// TooDeep tells whether JSON is nested more than most levels, without parsing
// it: readers of many languages give up, or worse, on such payloads.
func TooDeep(payload []byte, most int) bool {
	depth, text := 0, false
	for i := 0; i < len(payload); i++ {
		switch c := payload[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{' || c == '[':
			if depth++; depth > most {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
