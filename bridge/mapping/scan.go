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

// scan is one message while it is read.
type scan struct {
	Message
	levels []string
	out    *Outcome
}

// last is the last level of the topic.
func (s *scan) last() string { return s.levels[len(s.levels)-1] }

// at is a level of the topic, counted from the end: at(1) is the last.
func (s *scan) at(fromEnd int) string {
	if fromEnd > len(s.levels) {
		return ""
	}
	return s.levels[len(s.levels)-fromEnd]
}

// text is the payload without white space around it; false where there is
// nothing to read.
func (s *scan) text() ([]byte, bool) {
	switch {
	case len(s.Payload) > MaxPayload:
		s.out.Faults.add(Size)
		return nil, false
	case !utf8.Valid(s.Payload):
		s.out.Faults.add(Binary)
		return nil, false
	}
	p := bytes.TrimSpace(s.Payload)
	if len(p) == 0 {
		s.out.Faults.add(Empty)
	}
	return p, len(p) > 0
}

// word is a short payload that is one word, in lower case; empty: it is none.
func (s *scan) word() string {
	if len(s.Payload) > maxName {
		return ""
	}
	return strings.ToLower(string(bytes.TrimSpace(s.Payload)))
}

// json is the payload as JSON, with numbers as [json.Number].
func (s *scan) json() (any, bool) {
	p, ok := s.text()
	if !ok {
		return nil, false
	}
	if TooDeep(p, maxDepth) {
		s.out.Faults.add(Depth)
		return nil, false
	}
	whole, err := parse(p)
	if err != nil {
		forgiven, n := withoutNaN(p)
		if n > 0 {
			whole, err = parse(forgiven)
		}
		if err != nil {
			s.out.Faults.add(Syntax)
			return nil, false
		}
		s.out.Faults[NotFinite] += uint32(n)
	}
	return whole, true
}

// object is the payload as a JSON object.
func (s *scan) object() (map[string]any, bool) {
	whole, ok := s.json()
	if !ok {
		return nil, false
	}
	object, ok := whole.(map[string]any)
	if !ok {
		s.out.Faults.add(Shape)
	}
	return object, ok
}

func parse(p []byte) (whole any, err error) {
	d := json.NewDecoder(bytes.NewReader(p))
	d.UseNumber()
	if err = d.Decode(&whole); err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(p[d.InputOffset():])) > 0 {
		return nil, errTrailing
	}
	return whole, nil
}

// withoutNaN writes null for each NaN and infinity that small devices put in
// their JSON, so that one failed probe does not hide the others.
func withoutNaN(p []byte) (clean []byte, n int) {
	text := false
	for i := 0; i < len(p); i++ {
		c := p[i]
		switch {
		case text && c == '\\' && i+1 < len(p):
			clean = append(clean, c)
			i++
			c = p[i]
		case c == '"':
			text = !text
		case !text:
			if took := notFinite(p[i:]); took > 0 {
				clean, n, i = append(clean, "null"...), n+1, i+took-1
				continue
			}
		}
		clean = append(clean, c)
	}
	return clean, n
}

// notFinite is the length of a NaN or an infinity that p begins with.
func notFinite(p []byte) int {
	sign := 0
	if p[0] == '-' || p[0] == '+' {
		sign = 1
	}
	for _, w := range []string{"infinity", "inf", "nan"} {
		if end := sign + len(w); len(p) >= end && strings.EqualFold(string(p[sign:end]), w) {
			return end
		}
	}
	return 0
}

// subject is a device that values are being read of.
type subject struct {
	out  *Outcome
	base Value
}

// of begins the values of a device in an area; false where the device cannot
// be named so.
func (s *scan) of(device, place string) (subject, bool) {
	id, err := area.ParseSensorID(device)
	if err != nil {
		s.out.Faults.add(Name)
		return subject{}, false
	}
	if place != "" && !isName(place) {
		s.out.Faults.add(Name)
		place = ""
	}
	return subject{out: s.out, base: Value{Device: id, Area: place}}, true
}

// since is the subject with values of that instant, in Unix milliseconds; 0:
// when the message came.
func (d subject) since(ts int64) subject {
	d.base.TS = ts
	return d
}

// add keeps a value, or counts why it is none.
func (d subject) add(n name, v verdict) {
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

// happened keeps something momentary.
func (d subject) happened(what, channel string, leaf any) {
	value := plain(leaf)
	if value == nil || value == "" || value == false || !isName(what) || channel != "" && !isName(channel) {
		return
	}
	if len(d.out.Moments) >= MaxEvents {
		d.out.Faults.add(Many)
		return
	}
	d.out.Moments = append(d.out.Moments, Moment{Device: d.base.Device, Area: d.base.Area, Name: what, Channel: channel, Value: value, TS: d.base.TS})
}

// plain is a leaf as a float64, a bool or a short text; nil where it is none.
func plain(leaf any) any {
	switch v := leaf.(type) {
	case json.Number:
		if f, _, ok := number(v.String()); ok {
			return f
		}
	case bool:
		return v
	case string:
		if v = strings.TrimSpace(v); isName(v) {
			return v
		}
	}
	return nil
}

// present keeps that the device is there, or is not.
func (d subject) present(state area.Presence, reason string) {
	if len(d.out.Presences) >= MaxValues {
		d.out.Faults.add(Many)
		return
	}
	d.out.Presences = append(d.out.Presences, Presence{Device: d.base.Device, Area: d.base.Area, State: state, Reason: reason})
}

// seen keeps what is known of the device.
func (d subject) seen(called string, attributes ...string) {
	sight := Sight{Device: d.base.Device, Area: d.base.Area}
	if isName(called) {
		sight.Name = called
	}
	for i := 0; i+1 < len(attributes); i += 2 {
		if v := attributes[i+1]; isName(v) {
			if sight.Attributes == nil {
				sight.Attributes = map[string]string{}
			}
			sight.Attributes[attributes[i]] = v
		}
	}
	if len(d.out.Sights) < MaxValues {
		d.out.Sights = append(d.out.Sights, sight)
	}
}

// note keeps one thing that is known of the device; an empty value says that it is
// no more.
func (d subject) note(attribute, value string) {
	if len(d.out.Sights) < MaxValues {
		d.out.Sights = append(d.out.Sights, Sight{Device: d.base.Device, Area: d.base.Area, Attributes: map[string]string{attribute: value}})
	}
}

// lost is why a device that says offline is not there: the broker says it for
// one that it lost, else as the convention means it.
func (s *scan) lost(otherwise string) string {
	if s.Will {
		return area.PresentWill
	}
	return otherwise
}

// onOff tells of the presence that a word means; false where it means none.
func (s *scan) onOff(d subject, online, offline, reason string) bool {
	switch s.word() {
	case online:
		d.present(area.Online, area.PresentConnected)
	case offline:
		d.present(area.Offline, s.lost(reason))
	default:
		return false
	}
	return true
}

// walk visits every leaf of an object, in the order of its keys, so that the
// same payload always gives the same values.
func walk(path []string, object map[string]any, visit func(path []string, leaf any)) {
	for _, key := range slices.Sorted(maps.Keys(object)) {
		below := append(path, key)
		if child, ok := object[key].(map[string]any); ok {
			walk(below, child, visit)
			continue
		}
		visit(below, object[key])
	}
}

// str is the text of an object's key; empty where it is none.
func str(object map[string]any, key string) string {
	switch v := object[key].(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

// child is the object of an object's key; nil where it is none.
func child(object map[string]any, key string) map[string]any {
	c, _ := object[key].(map[string]any)
	return c
}
