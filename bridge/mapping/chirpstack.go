package mapping

// chirpStack reads application/{id}/device/{devEUI}/rx of version 3 and
// …/event/{kind} of version 4 (ChirpStack, "MQTT integration").
func (r *Reader) chirpStack(s *scan) bool {
	if s.levels[0] != "application" || len(s.levels) < 5 || s.levels[2] != "device" {
		return false
	}
	kind := s.levels[4]
	if kind == "event" && len(s.levels) == 6 {
		kind = s.levels[5]
	}
	if kind != "rx" && kind != "up" && kind != "status" {
		return true // joins, acknowledgements, commands
	}
	object, ok := s.object()
	if !ok {
		return true
	}
	d, ok := s.of(s.levels[3], "")
	if !ok {
		return true
	}
	d = d.since(instant(str(object, "time")))
	about := child(object, "deviceInfo")
	if called := str(about, "deviceName") + str(object, "deviceName"); called != "" {
		d.seen(called, "model", str(about, "deviceProfileName"))
	}
	if kind == "status" {
		if unavailable, _ := object["batteryLevelUnavailable"].(bool); !unavailable && object["batteryLevel"] != nil {
			d.add(canonical("battery"), ofJSON("battery", object["batteryLevel"]))
		}
		return true
	}
	decoded := child(object, "object")
	if text := str(object, "objectJSON"); decoded == nil && text != "" && !TooDeep([]byte(text), maxDepth) {
		whole, err := parse([]byte(text))
		if decoded, _ = whole.(map[string]any); err != nil || decoded == nil {
			s.out.Faults.add(Syntax)
		}
	}
	d.cayenne(decoded)
	return true
}
