package mapping

import (
	"encoding/binary"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tacet-hub/tacet/broker/area"
)

// sparks is what Sparkplug's nodes and devices said at their birth, by
// group/node[/device].
type sparks map[string]*sparkBirth

// sparkBirth is one node or device.
type sparkBirth struct {
	number  uint64 // bdSeq of a node: its death has the same
	metrics map[uint64]sparkMetric
}

// sparkMetric is what a birth says of a metric that later goes by its alias.
type sparkMetric struct {
	name, unit string
	datatype   uint64
}

// sparkplug reads spBv1.0/{group}/{N|D}{BIRTH|DATA|DEATH}/{node}[/{device}]
// (Sparkplug 3.0). The group is the area.
func (r *Reader) sparkplug(s *scan) bool {
	if s.levels[0] != "spBv1.0" || len(s.levels) < 3 {
		return false
	}
	what := s.levels[2]
	if len(s.levels) < 4 || s.levels[1] == "STATE" || len(s.levels) != 4+boolInt(strings.HasPrefix(what, "D")) {
		return true
	}
	group, who := s.levels[1], strings.Join(s.levels[3:], "/")
	d, ok := s.of(who, group)
	if !ok {
		return true
	}
	if len(s.Payload) > MaxPayload {
		s.out.Faults.add(Size)
		return true
	}
	key := group + "/" + who
	switch what {
	case "NBIRTH", "DBIRTH":
		r.sparkBirth(s, d, key)
	case "NDATA", "DDATA":
		r.sparkData(s, d, key)
	case "NDEATH":
		r.sparkDeath(s, d, group, s.levels[3])
	case "DDEATH":
		d.present(area.Offline, s.lost(area.PresentGoodbye))
	}
	return true
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// sparkBirth learns the aliases of a node or a device, and reads its values.
func (r *Reader) sparkBirth(s *scan, d subject, key string) {
	metrics, err := sparkPayload(s.Payload)
	if err != nil {
		s.out.Faults.add(Syntax)
		return
	}
	if r.spark[key] == nil && len(r.spark) >= maxDevices {
		s.out.Faults.add(Full)
		return
	}
	birth := &sparkBirth{metrics: map[uint64]sparkMetric{}}
	if before := r.spark[key]; before != nil {
		r.facts -= len(before.metrics)
	}
	r.spark[key] = birth
	d.present(area.Online, area.PresentConnected)
	for _, m := range metrics {
		if m.name == "bdSeq" {
			birth.number = m.bits
			continue
		}
		if _, twice := birth.metrics[m.alias]; m.hasAlias && !twice && isName(m.name) && r.learn(s, len(birth.metrics)) {
			birth.metrics[m.alias] = sparkMetric{name: m.name, unit: m.unit, datatype: m.datatype}
		}
		d.spark(m)
	}
}

// sparkData reads values: by name, or by an alias of the birth.
func (r *Reader) sparkData(s *scan, d subject, key string) {
	metrics, err := sparkPayload(s.Payload)
	if err != nil {
		s.out.Faults.add(Syntax)
		return
	}
	birth := r.spark[key]
	for _, m := range metrics {
		if birth != nil && m.name == "" {
			known, ok := birth.metrics[m.alias]
			if !ok {
				continue
			}
			m.name, m.unit = known.name, known.unit
			if m.datatype == 0 {
				m.datatype = known.datatype
			}
		}
		d.spark(m)
	}
}

// sparkDeath reads the will of a node, which takes its devices with it. The
// will of an earlier connection, whose number is not that of the birth, says
// nothing.
func (r *Reader) sparkDeath(s *scan, d subject, group, node string) {
	if birth := r.spark[group+"/"+node]; birth != nil {
		metrics, err := sparkPayload(s.Payload)
		for _, m := range metrics {
			if err == nil && m.name == "bdSeq" && m.bits != birth.number {
				return
			}
		}
	}
	d.present(area.Offline, area.PresentWill)
	for _, key := range slices.Sorted(maps.Keys(r.spark)) {
		if device, ok := strings.CutPrefix(key, group+"/"+node+"/"); ok {
			if d, ok := s.of(node+"/"+device, group); ok {
				d.present(area.Offline, area.PresentWill)
			}
		}
	}
}

// spark reads one metric; its path but the last part is the channel.
func (d subject) spark(m sparkValue) {
	path := strings.Split(m.name, "/")
	if m.name == "" || m.null || slices.Contains([]string{"Node Control", "Device Control", "Properties", "bdSeq"}, path[0]) {
		return
	}
	value := m.value()
	if value == nil {
		return
	}
	n := nameLeaf(path)
	if n.channel == "" && len(path) > 1 && !isKnown(n.metric) {
		n = name{metric: path[len(path)-1], channel: strings.Join(path[:len(path)-1], "/")}
	}
	if m.unit != "" {
		n.unit = m.unit
	}
	d = d.since(sparkTime(m.time))
	switch v := value.(type) {
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			d.add(n, verdict{why: NotFinite})
			return
		}
		d.add(n, ofNumber(n.metric, v))
	case string:
		if _, isState := state(v); isState || isKnown(n.metric) {
			d.add(n, ofText(n.metric, v))
		}
	default:
		d.add(n, ofJSON(n.metric, v))
	}
}

// sparkTime is Unix milliseconds, 0 where a clock that was set could not give
// them.
func sparkTime(t uint64) int64 {
	if t < 1e12 || t > 1e14 {
		return 0
	}
	return int64(t)
}

// sparkValue is one metric on the wire.
type sparkValue struct {
	name, unit string
	alias      uint64
	hasAlias   bool
	time       uint64
	datatype   uint64
	null       bool
	field      protowire.Number // which of the values is there
	bits       uint64
	text       string
}

// The fields of a payload and of a metric (Sparkplug 3.0, §6.4.1).
const (
	sparkMetrics = 2

	sparkName, sparkAlias, sparkStamp, sparkType = 1, 2, 3, 4
	sparkNull, sparkProperties                   = 7, 9
	sparkInt, sparkLong, sparkFloat, sparkDouble = 10, 11, 12, 13
	sparkBool, sparkString                       = 14, 15
)

// value is a float64, a bool or a string; nil where there is none of them.
// Signed integers travel as unsigned ones of their width.
func (m sparkValue) value() any {
	switch m.field {
	case sparkInt, sparkLong:
		switch m.datatype {
		case 1:
			return float64(int8(m.bits))
		case 2:
			return float64(int16(m.bits))
		case 3:
			return float64(int32(m.bits))
		case 4:
			return float64(int64(m.bits))
		case 13:
			return nil // an instant
		}
		return float64(m.bits)
	case sparkFloat:
		return round(float64(math.Float32frombits(uint32(m.bits))))
	case sparkDouble:
		return math.Float64frombits(m.bits)
	case sparkBool:
		return m.bits != 0
	case sparkString:
		return m.text
	}
	return nil
}

var errSpark = errors.New("no Sparkplug payload")

// sparkPayload takes a payload apart.
func sparkPayload(p []byte) (list []sparkValue, err error) {
	err = eachField(p, func(field protowire.Number, _ uint64, body []byte) error {
		if field != sparkMetrics || body == nil {
			return nil
		}
		if len(list) >= MaxValues {
			return nil
		}
		m, err := sparkOne(body)
		list = append(list, m)
		return err
	})
	return list, err
}

func sparkOne(p []byte) (m sparkValue, err error) {
	err = eachField(p, func(field protowire.Number, bits uint64, body []byte) error {
		switch field {
		case sparkName:
			m.name = string(body)
		case sparkAlias:
			m.alias, m.hasAlias = bits, true
		case sparkStamp:
			m.time = bits
		case sparkType:
			m.datatype = bits
		case sparkNull:
			m.null = bits != 0
		case sparkProperties:
			m.unit = sparkUnit(body)
		case sparkInt, sparkLong, sparkFloat, sparkDouble, sparkBool:
			m.field, m.bits = field, bits
		case sparkString:
			m.field, m.text = field, string(body)
		}
		return nil
	})
	return m, err
}

// sparkUnit finds the unit in the properties of a metric: keys in field 1,
// their values in field 2, text of those in field 8.
func sparkUnit(p []byte) string {
	var keys, values []string
	_ = eachField(p, func(field protowire.Number, _ uint64, body []byte) error {
		switch field {
		case 1:
			keys = append(keys, string(body))
		case 2:
			text := ""
			_ = eachField(body, func(field protowire.Number, _ uint64, body []byte) error {
				if field == 8 {
					text = string(body)
				}
				return nil
			})
			values = append(values, text)
		}
		return nil
	})
	for i, key := range keys {
		switch strings.ToLower(key) {
		case "engunit", "engunits", "engineering units", "unit", "units":
			if i < len(values) && isName(values[i]) {
				return values[i]
			}
		}
	}
	return ""
}

// eachField visits the fields of a message: numbers as bits, text and messages
// as body.
func eachField(p []byte, visit func(field protowire.Number, bits uint64, body []byte) error) error {
	for len(p) > 0 {
		field, kind, n := protowire.ConsumeTag(p)
		if n < 0 {
			return errSpark
		}
		p = p[n:]
		var bits uint64
		var body []byte
		switch kind {
		case protowire.VarintType:
			bits, n = protowire.ConsumeVarint(p)
		case protowire.Fixed32Type:
			if len(p) < 4 {
				return errSpark
			}
			bits, n = uint64(binary.LittleEndian.Uint32(p)), 4
		case protowire.Fixed64Type:
			bits, n = protowire.ConsumeFixed64(p)
		case protowire.BytesType:
			body, n = protowire.ConsumeBytes(p)
			if body == nil {
				body = []byte{}
			}
		default:
			n = protowire.ConsumeFieldValue(field, kind, p)
		}
		if n < 0 {
			return errSpark
		}
		if err := visit(field, bits, body); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}
