package mapping

import (
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
)

// gatewaySkip is what OpenMQTTGateway says of a beacon that is no reading.
var gatewaySkip = map[string]bool{
	"id": true, "mac_type": true, "adv_type": true, "name": true, "brand": true, "model": true, "model_id": true, "type": true, "cidc": true, "acts": true, "cont": true, "track": true,
	"servicedata": true, "servicedatauuid": true, "manufacturerdata": true, "mac": true, "prmac": true, "ctrl": true, "uuid": true, "mjid": true, "mnid": true, "txpower": true, "device": true,
	"packet": true, "time": true, "encr": true, "cipher": true, "ctr": true, "mic": true,
}

// gatewayWords is the short names of Theengs' decoder.
var gatewayWords = map[string]word{
	"tempc": {metric: "temperature"}, "tempf": {metric: "temperature", unit: fahrenheit}, "tempc2_dp": {metric: "dew_point", unit: celsius}, "tempf2_dp": {},
	"lux": {metric: "illuminance"}, "moi": {metric: "moisture", unit: "%"}, "fer": {metric: "conductivity", unit: "µS/cm"}, "pres": {metric: "pressure"},
	"distance": {metric: "distance", unit: "m"}, "for": {metric: "formaldehyde", unit: "mg/m³"}, "pm10": {metric: "pm10"}, "pm25": {metric: "pm25"}, "volt": {metric: "battery_voltage"},
	"current": {metric: "current"}, "power": {metric: "power"}, "weighing_mode": {}, "weight": {metric: "weight", unit: "kg"}, "opening": {metric: "opening"}, "open": {metric: "opening"},
}

// openMQTTGateway reads {base}/{gateway}/BTtoMQTT/{MAC}, and the gateway's own
// {base}/{gateway}/LWT once it is known to be one. The MAC without separators
// is the device.
func (r *Reader) openMQTTGateway(s *scan) bool {
	n := len(s.levels)
	switch {
	case n < 3:
		return false
	case s.at(1) == "SYStoMQTT" || s.at(1) == "BTtoMQTT":
		return true
	case s.at(1) == "LWT" && s.at(2) != "tele" && s.at(2) != "stat":
		if d, ok := s.of(s.at(2), ""); ok {
			return s.onOff(d, "online", "offline", area.PresentGoodbye)
		}
		return true
	case s.at(3) == "RTL_433toMQTT" || s.at(1) == "RTL_433toMQTT":
		if object, ok := s.object(); ok {
			s.rtl433Event(object)
		}
		return true
	case s.at(2) != "BTtoMQTT":
		return false
	}
	mac := withoutSeparators(s.last())
	object, ok := s.object()
	if !ok {
		return true
	}
	d, ok := s.of(mac, "")
	if !ok {
		return true
	}
	if model := str(object, "model"); model != "" || str(object, "name") != "" {
		d.seen(str(object, "name"), "model", model, "manufacturer", str(object, "brand"))
	}
	d.leaves(object, dialect{skip: gatewaySkip, words: gatewayWords})
	return true
}

// withoutSeparators is a MAC address without its colons and dashes.
func withoutSeparators(mac string) string {
	return strings.NewReplacer(":", "", "-", "").Replace(mac)
}
