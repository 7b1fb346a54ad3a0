package mapping

import (
	"maps"
	"slices"
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
)

// discovered is what Home Assistant discovery announced.
type discovered struct {
	configs map[string][]*entity // by topic of the configuration
	states  map[string][]*entity // by topic of the state; nil lists: claimed, and nothing to read
	avail   map[string][]*homeDevice
	devices map[area.DeviceID]*homeDevice
	n       int // entities
}

func newDiscovered() discovered {
	return discovered{configs: map[string][]*entity{}, states: map[string][]*entity{}, avail: map[string][]*homeDevice{}, devices: map[area.DeviceID]*homeDevice{}}
}

// homeDevice is a device of discovery: the first of its identifiers, else the
// object id.
type homeDevice struct {
	id       area.DeviceID
	place    string // suggested area
	entities int
	names    map[name]bool // metric and channel that are taken
	mode     string        // all, any or latest
	watches  []*watch
	strange  map[string]string // by key of the entity: what of its template is not understood
}

// watch is one topic of a device's availability.
type watch struct {
	topic, on, off string
	expr           expression
	state          area.Presence
}

// discovery reads homeassistant/{component}/[{node}/]{object}/config and
// homeassistant/device/{object}/config (Home Assistant, "MQTT discovery"), and
// the topics that they announce.
func (r *Reader) discovery(s *scan) bool {
	entities, claimed := r.found.states[s.Topic]
	watching := r.found.avail[s.Topic]
	if claimed || watching != nil {
		for _, d := range watching {
			s.available(d)
		}
		if len(entities) > 0 {
			s.entityStates(entities)
		}
		return true
	}
	if s.levels[0] != "homeassistant" {
		return false
	}
	n := len(s.levels)
	if n == 2 && s.levels[1] == "status" {
		return true // Home Assistant's own birth and will
	}
	if s.last() != "config" || n != 4 && n != 5 {
		return false
	}
	r.configure(s, s.levels[1], s.levels[n-2])
	return true
}

// configure learns what one configuration announces, in the place of what it
// announced before. An empty one takes it away.
func (r *Reader) configure(s *scan, component, object string) {
	var config map[string]any
	if len(s.Payload) > 0 {
		var ok bool
		if config, ok = s.object(); !ok {
			return
		}
		spellOutConfig(config)
	}
	had := r.found.claims(s.Topic)
	before := r.found.forget(s.Topic)
	if config != nil {
		r.announce(s, component, object, config)
	}
	s.out.Again = slices.DeleteFunc(s.out.Again, func(topic string) bool { return had[topic] })
	for _, d := range before {
		if d.entities == 0 {
			delete(r.found.devices, d.id)
			r.found.unwatch(d)
			s.out.Gone = append(s.out.Gone, d.id)
		}
	}
}

// claims is the topics that a configuration has made its own.
func (f *discovered) claims(config string) map[string]bool {
	had := map[string]bool{}
	for _, e := range f.configs[config] {
		for _, topic := range e.topics {
			had[topic] = true
		}
		for _, w := range e.device.watches {
			had[w.topic] = true
		}
	}
	return had
}

// forget drops the entities of a configuration and answers their devices.
func (f *discovered) forget(config string) (devices []*homeDevice) {
	for _, e := range f.configs[config] {
		e.device.entities--
		f.n--
		delete(e.device.strange, e.key)
		delete(e.device.names, name{metric: e.name.metric, channel: e.name.channel})
		for _, topic := range e.topics {
			f.states[topic] = slices.DeleteFunc(f.states[topic], func(other *entity) bool { return other == e })
			if len(f.states[topic]) == 0 {
				delete(f.states, topic)
			}
		}
		if !slices.Contains(devices, e.device) {
			devices = append(devices, e.device)
		}
	}
	delete(f.configs, config)
	return devices
}

// unwatch forgets a device's availability.
func (f *discovered) unwatch(d *homeDevice) {
	for _, w := range d.watches {
		f.avail[w.topic] = slices.DeleteFunc(f.avail[w.topic], func(other *homeDevice) bool { return other == d })
		if len(f.avail[w.topic]) == 0 {
			delete(f.avail, w.topic)
		}
	}
	d.watches = nil
}

// announce learns the entities of a configuration: one, or, of a device, one
// for each component, which inherits what the whole says.
func (r *Reader) announce(s *scan, component, object string, config map[string]any) {
	about := child(config, "device")
	id := firstIdentifier(about)
	if id == "" {
		id = object
	}
	d, ok := s.of(id, str(about, "suggested_area"))
	if !ok {
		return
	}
	n := len(r.found.configs[s.Topic])
	if component != "device" {
		r.entity(s, d, component, object, config)
	} else {
		components := child(config, "components")
		for _, key := range slices.Sorted(maps.Keys(components)) {
			own, ok := components[key].(map[string]any)
			if !ok {
				continue
			}
			spellOutConfig(own)
			if len(own) > 1 { // the platform alone takes the component away
				r.entity(s, d, str(own, "platform"), key, inherit(config, own))
			}
		}
	}
	if len(r.found.configs[s.Topic]) > n {
		d.seen(str(about, "name"), "model", str(about, "model"), "manufacturer", str(about, "manufacturer"))
		d.note(NotUnderstood, r.found.devices[d.base.Device].notUnderstood())
	}
}

// NotUnderstood is the attribute of a device that names its templates that are not
// understood: the raw values are shown of what they were for.
const NotUnderstood = "not_understood"

// maxNote bounds that text, in bytes.
const maxNote = 256

// notUnderstood lists what of the device's templates is not understood; empty: all
// is.
func (d *homeDevice) notUnderstood() string {
	var list []string
	for _, key := range slices.Sorted(maps.Keys(d.strange)) {
		if !isName(key) {
			list = append(list, clip(key)+": "+d.strange[key])
			continue
		}
		list = append(list, key+": "+d.strange[key])
	}
	text := strings.Join(list, "; ")
	if len(text) > maxNote {
		text = strings.ToValidUTF8(text[:maxNote-len("…")], "") + "…"
	}
	return text
}

// inherit is a component with what the whole configuration says.
func inherit(config, own map[string]any) map[string]any {
	whole := maps.Clone(config)
	delete(whole, "components")
	maps.Copy(whole, own)
	if base, ok := config["~"].(string); ok {
		based(whole, base)
	}
	if _, single := own["availability_topic"]; single {
		delete(whole, availability)
	}
	return whole
}

// firstIdentifier is the first of a device's identifiers: a text or a list of
// them.
func firstIdentifier(about map[string]any) string {
	if list, ok := about["identifiers"].([]any); ok {
		if len(list) == 0 {
			return ""
		}
		return str(map[string]any{"id": list[0]}, "id")
	}
	return str(about, "identifiers")
}

// availability is the key of what a device says of its being there.
const availability = "availability"

// watch learns the availability of a device; an entity that says nothing of it
// leaves it as it is.
func (r *Reader) watch(s *scan, d *homeDevice, config map[string]any) {
	var watches []*watch
	strange := ""
	add := func(about map[string]any, topicKey, templateKey string) {
		w := &watch{topic: str(about, topicKey), on: orText(payloadOf(about, "payload_available"), "online"), off: orText(payloadOf(about, "payload_not_available"), "offline"), state: area.PresenceUnknown}
		var err error
		if w.expr, err = parseExpression(str(about, templateKey)); err != nil {
			s.obscure(availability, err)
			strange = err.Error()
		}
		if isTopic(w.topic) && len(watches) < maxSteps {
			watches = append(watches, w)
		}
	}
	if list, ok := config[availability].([]any); ok {
		for _, item := range list {
			if a, ok := item.(map[string]any); ok {
				add(a, "topic", "value_template")
			}
		}
	} else {
		add(config, "availability_topic", "availability_template")
	}
	if len(watches) == 0 || d.watchesSame(watches) {
		return
	}
	r.found.unwatch(d)
	if delete(d.strange, availability); strange != "" {
		d.strange[availability] = strange
	}
	d.watches, d.mode = watches, orText(payloadOf(config, "availability_mode"), "latest")
	for _, w := range watches {
		if !slices.Contains(r.found.avail[w.topic], d) {
			r.found.avail[w.topic] = append(r.found.avail[w.topic], d)
		}
		s.out.Again = append(s.out.Again, w.topic)
	}
}

func (d *homeDevice) watchesSame(watches []*watch) bool {
	return slices.EqualFunc(d.watches, watches, func(a, b *watch) bool { return a.topic == b.topic && a.on == b.on && a.off == b.off })
}

// orText is a text, or another where it is empty.
func orText(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// isTopic tells whether s is a topic name that a configuration may point to:
// none of ours, whose readings we know at first hand.
func isTopic(s string) bool {
	return s != "" && len(s) <= maxTopic && !strings.ContainsAny(s, "+#\x00") && !strings.HasPrefix(s, area.Root+"/") && !strings.HasPrefix(s, "$") &&
		!(strings.HasPrefix(s, "homeassistant/") && strings.HasSuffix(s, "/config"))
}

// available reads one topic of a device's availability.
func (s *scan) available(d *homeDevice) {
	if len(s.Payload) > MaxPayload {
		s.out.Faults.add(Size)
		return
	}
	text := strings.TrimSpace(string(s.Payload))
	var latest area.Presence
	for _, w := range d.watches {
		if w.topic != s.Topic {
			continue
		}
		said := text
		if w.expr.ofJSON || len(w.expr.filters) > 0 {
			var whole any
			if w.expr.ofJSON && !TooDeep(s.Payload, maxDepth) {
				whole, _ = parse(s.Payload)
			}
			v, err := w.expr.eval(text, whole)
			if err != nil {
				continue
			}
			said = rendered(v)
		}
		switch {
		case strings.EqualFold(said, w.on):
			w.state = area.Online
		case strings.EqualFold(said, w.off):
			w.state = area.Offline
		default:
			continue
		}
		latest = w.state
	}
	if latest != "" {
		s.deviceAvailable(d, latest)
	}
}

// deviceAvailable tells what all topics of a device's availability say together.
func (s *scan) deviceAvailable(d *homeDevice, latest area.Presence) {
	on, off := 0, 0
	for _, w := range d.watches {
		switch w.state {
		case area.Online:
			on++
		case area.Offline:
			off++
		}
	}
	state := latest
	switch {
	case d.mode == "all" && off > 0 || d.mode == "any" && off == len(d.watches):
		state = area.Offline
	case d.mode == "all" && on < len(d.watches) || d.mode == "any" && on == 0:
		return // nobody knows yet
	case d.mode == "all" || d.mode == "any":
		state = area.Online
	}
	who, ok := s.of(string(d.id), d.place)
	switch {
	case !ok:
	case state == area.Online:
		who.present(area.Online, area.PresentConnected)
	default:
		who.present(area.Offline, s.lost(area.PresentGoodbye))
	}
}

// obscure notes a template that is not understood.
func (s *scan) obscure(of string, err error) {
	s.out.Faults.add(Obscure)
	if len(s.out.Obscure) < maxSteps {
		s.out.Obscure = append(s.out.Obscure, of+": "+err.Error())
	}
}
