package mapping

import (
	"strings"
	"time"
)

// cayenne is the names of the Cayenne payload format, as The Things Stack and
// ChirpStack write them, without the channel.
var cayenne = map[string]word{
	"relative_humidity": {metric: "humidity"}, "barometric_pressure": {metric: "pressure"}, "luminosity": {metric: "illuminance"}, "presence": {metric: "presence"}, "temperature": {metric: "temperature"},
	"barometer": {metric: "pressure"}, "illuminanceSensor": {metric: "illuminance"}, "presenceSensor": {metric: "presence"}, "humiditySensor": {metric: "humidity"}, "temperatureSensor": {metric: "temperature"},
}

// thingsStack reads v3/{app}@{tenant}/devices/{id}/up (The Things Stack, "MQTT
// server"): what the payload formatter decoded.
func (r *Reader) thingsStack(s *scan) bool {
	if s.levels[0] != "v3" || len(s.levels) < 5 || s.levels[2] != "devices" {
		return false
	}
	if len(s.levels) != 5 || s.levels[4] != "up" {
		return true // joins, acknowledgements, downlinks
	}
	object, ok := s.object()
	if !ok {
		return true
	}
	id := str(child(object, "end_device_ids"), "device_id")
	if id == "" {
		id = s.levels[3]
	}
	d, ok := s.of(id, "")
	if !ok {
		return true
	}
	uplink := child(object, "uplink_message")
	at := instant(str(object, "received_at"))
	if at == 0 {
		at = instant(str(uplink, "received_at"))
	}
	d.since(at).cayenne(child(uplink, "decoded_payload"))
	return true
}

// cayenne reads what a payload formatter made of the bytes of an uplink. A
// number behind a name of Cayenne's is the channel.
func (d subject) cayenne(object map[string]any) {
	if len(object) == 0 {
		d.seen("")
		return
	}
	walk(nil, object, func(path []string, leaf any) {
		key := path[len(path)-1]
		if momentary[key] {
			d.happened(key, "", leaf)
			return
		}
		n := cayenneName(path)
		if text, ok := leaf.(string); ok && !isKnown(n.metric) {
			if _, isState := state(text); !isState {
				return
			}
		}
		d.add(n, ofJSON(n.metric, leaf))
	})
}

func cayenneName(path []string) name {
	key, channel := path[len(path)-1], ""
	if len(path) > 1 && isDigits(key) {
		key, channel = path[len(path)-2], key
	} else if at := strings.LastIndexByte(key, '_'); at > 0 && isDigits(key[at+1:]) {
		key, channel = key[:at], key[at+1:]
	}
	w, ok := cayenne[key]
	if !ok || channel == "" && len(path) > 1 {
		return nameLeaf(path)
	}
	n := w.name()
	n.channel = channel
	return n
}

// instant reads RFC 3339, in Unix milliseconds; 0 where it is none.
func instant(s string) int64 {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Unix() <= 0 {
		return 0
	}
	return t.UnixMilli()
}
