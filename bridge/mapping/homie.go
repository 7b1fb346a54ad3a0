package mapping

import (
	"maps"
	"slices"
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
)

// homies is what Homie's devices said of themselves, by the topic of the device
// ("homie/5/super-car").
type homies map[string]*homieDevice

// homieDevice is one device.
type homieDevice struct {
	root, state string
	properties  map[string]homieProperty // by node/property
}

// homieProperty is what a description says of one property.
type homieProperty struct {
	datatype, unit string
	momentary      bool // not retained: it happens and does not last
}

// homie5 reads {domain}/5/{device}/… (Homie convention 5). Type and unit of a
// property come from the description; the node is the channel.
func (r *Reader) homie5(s *scan) bool {
	if len(s.levels) < 4 || s.levels[1] != "5" {
		return false
	}
	at, what := strings.Join(s.levels[:3], "/"), s.levels[3]
	d, ok := s.of(s.levels[2], "")
	if !ok {
		return true
	}
	switch {
	case len(s.levels) == 4 && what == "$state":
		r.homieState(s, d, at)
	case len(s.levels) == 4 && what == "$description":
		r.homieDescription(s, d, at)
	case len(s.levels) == 5 && !strings.HasPrefix(what, "$"):
		if known := r.homie[at]; known != nil {
			if p, ok := known.properties[what+"/"+s.levels[4]]; ok {
				s.homieValue(d, p, what, s.levels[4])
			}
		}
	default: // $log, $alert, a property's $target and set
	}
	return true
}

// homieOf is the record of a device, made where there is room.
func (r *Reader) homieOf(s *scan, at string) *homieDevice {
	known := r.homie[at]
	if known == nil {
		if len(r.homie) >= maxDevices {
			s.out.Faults.add(Full)
			return nil
		}
		known = &homieDevice{}
		r.homie[at] = known
	}
	return known
}

// homieState reads $state: an empty one takes the device away.
func (r *Reader) homieState(s *scan, d subject, at string) {
	w := s.word()
	if w == "" {
		if known := r.homie[at]; known != nil {
			r.facts -= len(known.properties)
			delete(r.homie, at)
			s.out.Gone = append(s.out.Gone, d.base.Device)
		}
		return
	}
	if _, known := homiePresence[w]; !known {
		s.out.Faults.add(Text)
		return
	}
	known := r.homieOf(s, at)
	if known == nil {
		return
	}
	before := known.state
	known.state = w
	r.homiePresent(s, d, known, at)
	if before == "lost" || w == "lost" {
		r.homieChildren(s, d.base.Device, at)
	}
}

// homiePresence is what each $state means. A device that is only getting ready
// is connected.
var homiePresence = map[string]struct {
	state  area.Presence
	reason string
}{
	"init":         {area.Online, area.PresentConnected},
	"ready":        {area.Online, area.PresentConnected},
	"disconnected": {area.Offline, area.PresentGoodbye},
	"sleeping":     {area.Asleep, area.PresentAsleep},
	"lost":         {area.Offline, area.PresentWill},
}

// homiePresent tells of a device: a root that is lost is lost for its children.
func (r *Reader) homiePresent(s *scan, d subject, known *homieDevice, at string) {
	state := known.state
	if known.root != "" {
		if root := r.homie[at[:strings.LastIndexByte(at, '/')+1]+known.root]; root != nil && root.state == "lost" {
			state = "lost"
		}
	}
	if p, ok := homiePresence[state]; ok {
		d.present(p.state, p.reason)
	}
}

// homieChildren tells of the devices whose root has come or gone.
func (r *Reader) homieChildren(s *scan, root area.DeviceID, at string) {
	domain := at[:strings.LastIndexByte(at, '/')+1]
	for _, other := range slices.Sorted(maps.Keys(r.homie)) {
		id, same := strings.CutPrefix(other, domain)
		if known := r.homie[other]; same && known.root == string(root) {
			if d, ok := s.of(id, ""); ok {
				r.homiePresent(s, d, known, other)
			}
		}
	}
}

// homieDescription learns what a device has.
func (r *Reader) homieDescription(s *scan, d subject, at string) {
	if len(s.Payload) == 0 {
		return
	}
	object, ok := s.object()
	if !ok {
		return
	}
	known := r.homieOf(s, at)
	if known == nil {
		return
	}
	r.facts -= len(known.properties)
	before := known.properties
	known.root, known.properties = nameOr(str(object, "root"), ""), map[string]homieProperty{}
	d.seen(str(object, "name"))
	if known.root != "" && known.state != "" {
		r.homiePresent(s, d, known, at)
	}
	nodes := child(object, "nodes")
	for _, node := range slices.Sorted(maps.Keys(nodes)) {
		body, _ := nodes[node].(map[string]any)
		properties := child(body, "properties")
		for _, id := range slices.Sorted(maps.Keys(properties)) {
			if _, twice := known.properties[node+"/"+id]; twice || !isName(node+"/"+id) {
				continue
			}
			if !r.learn(s, len(known.properties)) {
				return
			}
			about, _ := properties[id].(map[string]any)
			retained, said := about["retained"].(bool)
			known.properties[node+"/"+id] = homieProperty{datatype: str(about, "datatype"), unit: nameOr(str(about, "unit"), ""), momentary: said && !retained}
			if _, was := before[node+"/"+id]; !was {
				s.out.Again = append(s.out.Again, at+"/"+node+"/"+id)
			}
		}
	}
}

// homieValue reads the value of a property as its type has it.
func (s *scan) homieValue(d subject, p homieProperty, node, id string) {
	payload, ok := s.text()
	if !ok {
		return
	}
	text := string(payload)
	if p.momentary {
		if !s.Replay {
			d.happened(id, node, text)
		}
		return
	}
	n := canonical(id)
	n.channel = node
	if p.unit != "" {
		n.unit = p.unit
	}
	switch p.datatype {
	case "integer", "float":
		f, refused, ok := number(text)
		if !ok {
			refused.bad = refused.why == Text
			d.add(n, refused)
			return
		}
		d.add(n, verdict{value: f})
	case "boolean":
		d.add(n, ofTwoStates(text))
	case "enum":
		d.add(n, ofState(text))
	}
}

// ofState is text that is one of the states that a description lists.
func ofState(text string) verdict {
	if on, ok := state(text); ok {
		return verdict{value: on}
	}
	if !isName(text) {
		return verdict{bad: true, why: Text}
	}
	return verdict{value: text}
}

// nameOr is a text that can be shown, or another.
func nameOr(s, otherwise string) string {
	if !isName(s) {
		return otherwise
	}
	return s
}
