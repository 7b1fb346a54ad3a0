package mapping

import (
	"errors"
	"strconv"
	"strings"
)

// role is how the state of an entity is read.
type role uint8

const (
	measures role = iota // a number, or a state
	twoWays              // payload_on or payload_off
	lists                // one of some texts
	occurs               // {"event_type":"…"}
	triggers             // a payload that means that something happened
)

// entity is one value of a device that discovery announced.
type entity struct {
	device  *homeDevice
	key     string // object id or component
	name    name
	role    role
	topics  []string
	expr    expression
	strange string // what of its template is not understood; the raw value is shown
	numeric bool   // it promised a number
	on, off string
}

// topicKey is a topic of a component, its template, and what it says.
type topicKey struct{ topic, template, metric string }

// entityTopics is what is read of each component beside its state_topic.
var entityTopics = map[string][]topicKey{
	"climate": {{"current_temperature_topic", "current_temperature_template", "temperature"}, {"temperature_state_topic", "temperature_state_template", "target_temperature"},
		{"current_humidity_topic", "current_humidity_template", "humidity"}},
	"humidifier": {{"current_humidity_topic", "current_humidity_template", "humidity"}, {"target_humidity_state_topic", "target_humidity_state_template", "target_humidity"}},
	"cover":      {{"position_topic", "position_template", "position"}},
	"valve":      {{"position_topic", "position_template", "position"}},
}

// entityUnits is the units of metrics that components have by themselves.
var entityUnits = map[string]string{"target_temperature": celsius, "target_humidity": "%", "position": "%"}

// entity learns one entity. What has no state to read is none of ours.
func (r *Reader) entity(s *scan, d subject, component, key string, config map[string]any) {
	if r.found.n >= maxEntities {
		s.out.Faults.add(Full)
		return
	}
	var learnt []*entity
	if e := s.stateEntity(component, key, config); e != nil {
		learnt = append(learnt, e)
	}
	for _, t := range entityTopics[component] {
		if topic := str(config, t.topic); isTopic(topic) {
			e := &entity{key: key, topics: []string{topic}, name: name{metric: t.metric, unit: orText(unitOf[t.metric], entityUnits[t.metric])}, numeric: true}
			s.template(e, str(config, t.template))
			learnt = append(learnt, e)
		}
	}
	if len(learnt) == 0 {
		return
	}
	device := r.found.device(d)
	for _, e := range learnt {
		r.found.add(s, device, e)
	}
	r.watch(s, device, config)
}

// device is the record of a device, made where there is none.
func (f *discovered) device(d subject) *homeDevice {
	known := f.devices[d.base.Device]
	if known == nil {
		known = &homeDevice{id: d.base.Device, names: map[name]bool{}, strange: map[string]string{}}
		f.devices[known.id] = known
	}
	if d.base.Area != "" {
		known.place = d.base.Area
	}
	return known
}

// add keeps an entity. One of the same metric as another of its device has its
// key as channel.
func (f *discovered) add(s *scan, d *homeDevice, e *entity) {
	e.device = d
	taken := name{metric: e.name.metric, channel: e.name.channel}
	if d.names[taken] {
		e.name.channel, taken.channel = e.key, e.key
	}
	d.names[taken] = true
	if e.strange != "" {
		d.strange[e.key] = e.strange
	}
	d.entities++
	f.n++
	if d.place == "" {
		d.place = zigbeePlace(e.topics[0])
	}
	f.configs[s.Topic] = append(f.configs[s.Topic], e)
	for _, topic := range e.topics {
		s.out.Again = append(s.out.Again, topic)
		f.states[topic] = append(f.states[topic], e)
	}
}

// zigbeePlace is the area of a Zigbee2MQTT device, which is a part of its
// topic.
func zigbeePlace(topic string) string {
	friendly, ok := strings.CutPrefix(topic, "zigbee2mqtt/")
	at := strings.LastIndexByte(friendly, '/')
	if !ok || at < 0 {
		return ""
	}
	return friendly[:at]
}

// stateEntity is what a component's state_topic says; nil where it has none
// that is read.
func (s *scan) stateEntity(component, key string, config map[string]any) *entity {
	e := &entity{key: key}
	topic := str(config, "state_topic")
	template := orText(str(config, "value_template"), orText(str(config, "state_value_template"), str(config, "state_template")))
	switch component {
	case "sensor", "number":
		e.numeric = component == "number" || str(config, "unit_of_measurement") != "" || str(config, "state_class") != ""
		if str(config, "device_class") == "enum" {
			e.role = lists
		}
	case "binary_sensor":
		e.role, e.on, e.off = twoWays, orText(payloadOf(config, "payload_on"), "ON"), orText(payloadOf(config, "payload_off"), "OFF")
	case "switch", "light", "siren", "fan", "humidifier", "input_boolean":
		e.role = twoWays
		e.on = orText(payloadOf(config, "state_on"), orText(payloadOf(config, "payload_on"), "ON"))
		e.off = orText(payloadOf(config, "state_off"), orText(payloadOf(config, "payload_off"), "OFF"))
		if str(config, "schema") == "json" {
			template = "{{ value_json.state }}"
		}
	case "lock":
		e.role, e.on, e.off = twoWays, orText(payloadOf(config, "state_locked"), "LOCKED"), orText(payloadOf(config, "state_unlocked"), "UNLOCKED")
	case "cover", "valve", "select", "alarm_control_panel":
		e.role = lists
	case "event":
		e.role = occurs
	case "device_automation":
		e.role, e.on, topic = triggers, payloadOf(config, "payload"), str(config, "topic")
	default:
		return nil
	}
	if !isTopic(topic) {
		return nil
	}
	e.topics = []string{topic}
	s.template(e, template)
	e.name = entityName(component, key, e.expr.lastField(), config)
	if component == "device_automation" {
		e.name = name{metric: "action", channel: nameOr(str(config, "subtype"), "")}
	}
	return e
}

// payloadOf is a payload of a configuration as text: true is "true".
func payloadOf(config map[string]any, key string) string {
	if b, ok := config[key].(bool); ok {
		return strconv.FormatBool(b)
	}
	return nameOr(str(config, key), "")
}

// template gives an entity its template; one that is not understood is noted.
func (s *scan) template(e *entity, text string) {
	var err error
	if e.expr, err = parseExpression(text); err != nil {
		e.expr, e.strange = expression{}, err.Error()
		s.obscure(e.key, err)
	}
}

// entityName is the metric of an entity: its device class, else what its
// template reads, else its key. Where the class does not say it all, the field
// or the key is the channel.
func entityName(component, key, field string, config map[string]any) name {
	tag := canonical(orText(field, key))
	class := canonical(str(config, "device_class"))
	switch component {
	case "switch", "light", "siren", "fan", "lock", "cover", "valve", "humidifier", "alarm_control_panel":
		class = name{metric: component}
	case "event":
		class = name{metric: "event"}
	}
	n := tag
	if class.metric != "" {
		n = name{metric: class.metric, unit: class.unit, channel: tag.channel}
		if tag.metric != class.metric {
			n.channel = tag.metric
		}
	}
	if channel, ok := strings.CutPrefix(n.channel, "state"); ok && component == "switch" {
		n.channel = strings.TrimPrefix(channel, "_")
	}
	if field == "" && n.channel == key && firstIdentifier(child(config, "device")) == "" && child(config, "components") == nil {
		n.channel = "" // a device of one value
	}
	if unit := str(config, "unit_of_measurement"); unit != "" && isName(unit) {
		n.unit = unit
	}
	return n
}

// entityStates reads a message for each entity that has its state in it.
func (s *scan) entityStates(entities []*entity) {
	payload, ok := s.text()
	if !ok {
		return
	}
	text := string(payload)
	var whole any
	for _, e := range entities {
		if e.expr.ofJSON || e.role == occurs {
			if whole, ok = s.json(); !ok {
				return
			}
			break
		}
	}
	for _, e := range entities {
		if d, ok := s.of(string(e.device.id), e.device.place); ok {
			s.entityState(d, e, text, whole)
		}
	}
}

// entityState reads the state of one entity.
func (s *scan) entityState(d subject, e *entity, text string, whole any) {
	value, err := e.expr.eval(text, whole)
	switch {
	case errors.Is(err, errUndefined):
		return
	case err != nil:
		d.add(e.name, verdict{bad: true, why: Text})
		return
	case e.strange != "":
		s.obscureState(d, e, text)
		return
	}
	said := rendered(value)
	switch e.role {
	case twoWays:
		d.add(e.name, e.twoWays(said))
	case lists:
		if strings.TrimSpace(said) != "" {
			d.add(e.name, ofChoice(said))
		}
	case occurs:
		if object, ok := whole.(map[string]any); ok && !s.Replay {
			d.happened("event", e.name.channel, object["event_type"])
		}
	case triggers:
		if !s.Replay && (e.on == "" || e.on == said) {
			d.happened("action", e.name.channel, said)
		}
	default:
		d.add(e.name, e.measured(value, said))
	}
}

// measured is what a sensor says. Text where a unit promised a number is bad;
// other text is a reading where it is a state.
func (e *entity) measured(value any, said string) verdict {
	switch v := value.(type) {
	case float64:
		return ofNumber(e.name.metric, v)
	case bool, []any, map[string]any:
		return ofJSON(e.name.metric, v)
	}
	said = strings.TrimSpace(said)
	switch strings.ToLower(said) {
	case "", "none", "unknown", "unavailable", "null":
		return verdict{why: Null}
	}
	v := ofPayload(e.name.metric, []byte(said))
	if e.numeric && v.why == Text {
		return verdict{bad: true, why: Text}
	}
	if e.numeric {
		if _, isNumber := v.value.(string); isNumber {
			return verdict{bad: true, why: Text}
		}
	}
	return v
}

// twoWays is what one of two payloads says.
func (e *entity) twoWays(said string) verdict {
	switch said = strings.TrimSpace(said); {
	case strings.EqualFold(said, e.on):
		return verdict{value: true}
	case strings.EqualFold(said, e.off):
		return verdict{value: false}
	}
	if on, ok := state(said); ok {
		return verdict{value: on}
	}
	return verdict{bad: true, why: Text}
}

// ofChoice is one of the texts that an entity may say.
func ofChoice(said string) verdict {
	if !isName(said) {
		return verdict{bad: true, why: Text}
	}
	return verdict{value: said}
}

// obscureState shows the raw value of an entity whose template is not
// understood: a number as it is, text as a reading of bad quality.
func (s *scan) obscureState(d subject, e *entity, text string) {
	s.out.Obscure = append(s.out.Obscure, e.key+": "+e.strange)
	if f, _, ok := number(text); ok {
		d.add(e.name, verdict{value: f})
		return
	}
	if len(text) > maxName {
		text = strings.ToValidUTF8(text[:maxName], "")
	}
	d.add(e.name, verdict{value: text, bad: true, why: Obscure})
}

// rendered is a value as Home Assistant writes it.
func rendered(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}
