package mapping

import (
	"maps"
	"slices"

	"github.com/tacet-hub/tacet/broker/area"
)

// thingsBoard reads v1/devices/me/telemetry, where the MQTT user name is the
// device, and v1/gateway/… (ThingsBoard, "MQTT Device API" and "MQTT Gateway
// API").
func (r *Reader) thingsBoard(s *scan) bool {
	if s.levels[0] != "v1" || len(s.levels) < 3 {
		return false
	}
	switch s.levels[1] + "/" + s.levels[2] {
	case "devices/me":
		if len(s.levels) == 4 && s.levels[3] == "telemetry" {
			s.thingsBoardDevice()
		}
	case "gateway/telemetry":
		s.thingsBoardGateway()
	case "gateway/connect", "gateway/disconnect":
		s.thingsBoardConnect(s.levels[2] == "connect")
	case "gateway/attributes", "gateway/rpc", "gateway/claim":
	default:
		return false
	}
	return true
}

func (s *scan) thingsBoardDevice() {
	whole, ok := s.json()
	if !ok {
		return
	}
	if d, ok := s.of(s.User, ""); ok {
		d.points(whole)
	}
}

func (s *scan) thingsBoardGateway() {
	object, ok := s.object()
	if !ok {
		return
	}
	for _, device := range slices.Sorted(maps.Keys(object)) {
		if d, ok := s.of(device, ""); ok {
			d.points(object[device])
		}
	}
}

// thingsBoardConnect reads {"device":"Device A"}: the gateway has it, or has it
// no more.
func (s *scan) thingsBoardConnect(there bool) {
	object, ok := s.object()
	if !ok {
		return
	}
	d, ok := s.of(str(object, "device"), "")
	switch {
	case !ok:
	case there:
		d.present(area.Online, area.PresentConnected)
	default:
		d.present(area.Offline, area.PresentGoodbye)
	}
}

// points reads one point or a list of them: {"ts":…,"values":{…}}, or the values
// alone. The older ones go first.
func (d subject) points(whole any) {
	list, ok := whole.([]any)
	if !ok {
		list = []any{whole}
	}
	if len(list) > MaxValues {
		d.out.Faults.add(Many)
		list = list[:MaxValues]
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b any) int { return int(pointTime(a) - pointTime(b)) })
	for _, p := range list {
		object, ok := p.(map[string]any)
		if !ok {
			d.out.Faults.add(Shape)
			continue
		}
		values := child(object, "values")
		if _, has := object["ts"]; !has || values == nil {
			values = object
		}
		d.since(pointTime(p)).leaves(values, dialect{skip: map[string]bool{"ts": true}})
	}
}

func pointTime(p any) int64 {
	object, _ := p.(map[string]any)
	return unixMilli(object["ts"])
}
