package mapping

import (
	"slices"
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
)

// Bounds of what a [Reader] learns. What is beyond is not learnt, and counted
// as [Full].
const (
	maxEntities = 10_000 // of Home Assistant discovery
	maxDevices  = 10_000 // of Homie, of Sparkplug and of Shelly each
	maxOfDevice = 256    // properties or aliases of one device
	maxFacts    = 50_000 // properties and aliases of all
	maxTopic    = 512    // bytes of a topic that a convention reads, or points to
)

// Reader reads messages: by the operator's rules, else by the conventions of
// sensors, else by the built-in rules. It learns what sensors announce of
// themselves (Home Assistant discovery, Homie's descriptions, Sparkplug's
// births). One goroutine owns it.
type Reader struct {
	found  discovered
	homie  homies
	spark  sparks
	shelly shellies
	facts  int // of homie and spark

	scan   scan    // of the message that is being read
	out    Outcome // of it
	levels [maxLevels]string
	few    [8]*rule
}

// NewReader makes a reader that has learnt nothing yet.
func NewReader() *Reader {
	return &Reader{found: newDiscovered(), homie: homies{}, spark: sparks{}, shelly: shellies{}}
}

// convention is one way in which sensors speak.
type convention struct {
	name string
	read func(r *Reader, s *scan) (claimed bool)
}

// conventions go in this order; the first that claims a message has it.
var conventions = []convention{
	{"homeassistant-discovery", (*Reader).discovery},
	{"homie5", (*Reader).homie5},
	{"sparkplugb", (*Reader).sparkplug},
	{"zigbee2mqtt", (*Reader).zigbee2mqtt},
	{"shelly-gen2", (*Reader).shelly2},
	{"shelly-gen1", (*Reader).shelly1},
	{"tasmota", (*Reader).tasmota},
	{"openmqttgateway", (*Reader).openMQTTGateway},
	{"rtl_433", (*Reader).rtl433},
	{"ruuvi", (*Reader).ruuvi},
	{"the-things-stack", (*Reader).thingsStack},
	{"chirpstack", (*Reader).chirpStack},
	{"thingsboard", (*Reader).thingsBoard},
	{"esphome", (*Reader).esphome}, // of all the least sure
}

// Read says what becomes of a message. It never panics and keeps nothing of
// the payload.
func (r *Reader) Read(rules *Table, m Message) Outcome {
	r.out = Outcome{}
	if strings.Count(m.Topic, "/") >= maxLevels {
		r.out.Faults.add(Depth)
		return r.out
	}
	s := &r.scan
	*s = scan{Message: m, levels: splitLevels(r.levels[:0], m.Topic), out: &r.out}
	own, builtin, events := rules.forTopic(s.levels, r.few[:0])
	for _, e := range events {
		s.out.event(e, s.levels)
	}
	switch {
	case own != nil:
		s.byRule(own)
	case r.byConvention(s):
	case builtin != nil:
		s.byRule(builtin)
	}
	s.out.settle()
	*s = scan{}
	return r.out
}

// byConvention lets the conventions read; what is ours and the broker's own is
// none of theirs.
func (r *Reader) byConvention(s *scan) bool {
	if first := s.levels[0]; first == area.Root || strings.HasPrefix(first, "$") || len(s.Topic) > maxTopic {
		return false
	}
	for i := range conventions {
		if conventions[i].read(r, s) {
			s.out.By = conventions[i].name
			return true
		}
	}
	return false
}

// learn takes room for one more fact of a device that has so many; false, and
// counted, where there is none.
func (r *Reader) learn(s *scan, has int) bool {
	if has >= maxOfDevice || r.facts >= maxFacts {
		s.out.Faults.add(Full)
		return false
	}
	r.facts++
	return true
}

// settle leaves one value of each key and instant: of a quantity in °C and in
// °F the one in °C, else the first.
func (out *Outcome) settle() {
	if len(out.Values) < 2 {
		return
	}
	type key struct {
		device          area.DeviceID
		metric, channel string
		ts              int64
	}
	at := make(map[key]int, len(out.Values))
	kept := out.Values[:0]
	for _, v := range out.Values {
		k := key{v.Device, v.Metric, v.Channel, v.TS}
		i, twice := at[k]
		switch {
		case !twice:
			at[k] = len(kept)
			kept = append(kept, v)
		case kept[i].Unit == fahrenheit && v.Unit == celsius:
			kept[i] = v
		}
	}
	out.Values = slices.Clip(kept)
}
