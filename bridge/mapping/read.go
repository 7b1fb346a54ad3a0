package mapping

import (
	"slices"
	"strconv"
	"strings"
)

// byRule adds the readings that a rule makes of the message.
func (s *scan) byRule(r *rule) {
	switch r.format {
	case Raw:
		if p, ok := s.text(); ok {
			s.raw(r, p)
		}
	case SenML:
		s.senml(r)
	default:
		s.fields(r)
	}
}

// ofRule is who the readings of a rule are of.
func (s *scan) ofRule(r *rule) (subject, bool) {
	return s.of(r.device.render(s.levels), r.area.render(s.levels))
}

// raw reads a payload that is one value.
func (s *scan) raw(r *rule, p []byte) {
	d, ok := s.ofRule(r)
	if !ok {
		return
	}
	n := canonical(r.metric.render(s.levels))
	if channel := r.channel.render(s.levels); channel != "" {
		n.channel = channel
	}
	d.add(n, ofPayload(n.metric, p))
}

// fields reads a payload that is JSON: the named paths, or every leaf.
func (s *scan) fields(r *rule) {
	d, ok := s.ofRule(r)
	if !ok {
		return
	}
	channel := r.channel.render(s.levels)
	if len(r.fields) > 0 {
		whole, ok := s.json()
		for _, f := range r.fields {
			if !ok {
				return
			}
			leaf, found := lookup(whole, f.path)
			if !found {
				continue
			}
			n := name{metric: f.metric, channel: f.channel, unit: unitOf[f.metric]}
			if channel != "" {
				n.channel = channel
			}
			d.add(n, ofJSON(f.metric, leaf))
		}
		return
	}
	if object, ok := s.object(); ok {
		d.leaves(object, dialect{channel: channel})
	}
}

// lookup finds a path in JSON: keys with dots between, and numbers for the
// places of a list. A key that has the dots itself goes first.
func lookup(whole any, path string) (any, bool) {
	switch v := whole.(type) {
	case map[string]any:
		if leaf, ok := v[path]; ok {
			return leaf, true
		}
		for at := 0; at < len(path); at++ {
			if path[at] != '.' {
				continue
			}
			if below, ok := v[path[:at]]; ok {
				if leaf, ok := lookup(below, path[at+1:]); ok {
					return leaf, true
				}
			}
		}
	case []any:
		place, rest, more := strings.Cut(path, ".")
		i, err := strconv.Atoi(place)
		if err != nil || i < 0 || i >= len(v) {
			return nil, false
		}
		if !more {
			return v[i], true
		}
		return lookup(v[i], rest)
	}
	return nil, false
}

// dialect is how one convention names the leaves of its JSON.
type dialect struct {
	channel string            // of every value; empty: as the path has it
	nested  bool              // what a leaf is in is its channel, also where its own name is not known
	skip    map[string]bool   // keys that are no readings, nor anything below them
	words   map[string]word   // what keys mean, before the common aliases; an empty metric: no reading
	units   map[string]string // of metrics, before the canonical ones
}

// momentary is the keys of things that happen and do not last.
var momentary = map[string]bool{"action": true, "Action": true, "click": true, "button": true, "button_press": true, "buttonPress": true, "press": true, "event": true}

// leaves reads every leaf of an object that is a number, a boolean or a state.
// Text of a name that is not known is no reading unless it is a state, and no
// fault: most JSON has some.
func (d subject) leaves(object map[string]any, by dialect) {
	walk(nil, object, func(path []string, leaf any) {
		if by.skips(path) {
			return
		}
		if key := path[len(path)-1]; momentary[key] {
			d.happened(strings.ToLower(key), by.channelOf(path), leaf)
			return
		}
		n, ok := by.name(path)
		if !ok {
			return
		}
		if text, isText := leaf.(string); isText && !isKnown(n.metric) {
			if _, isState := state(strings.TrimSpace(text)); !isState {
				return
			}
		}
		d.add(n, ofJSON(n.metric, leaf))
	})
}

func (by dialect) skips(path []string) bool {
	return slices.ContainsFunc(path, func(key string) bool { return by.skip[key] })
}

// channelOf is the channel of a leaf whose name is its key alone.
func (by dialect) channelOf(path []string) string {
	if by.channel != "" {
		return by.channel
	}
	return strings.Join(path[:len(path)-1], ".")
}

// name is what the leaf at a path is called; false: it is no reading.
func (by dialect) name(path []string) (name, bool) {
	key := path[len(path)-1]
	n := nameLeaf(path)
	if w, ok := by.words[key]; ok {
		if w.metric == "" {
			return name{}, false
		}
		n = w.name()
		n.channel = by.channelOf(path)
	} else if by.nested && len(path) > 1 && !isKnown(n.metric) {
		n = name{metric: key, channel: by.channelOf(path)}
	}
	if unit, ok := by.units[n.metric]; ok {
		n.unit = unit
	}
	if by.channel != "" {
		n.channel = by.channel
	}
	return n, true
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
