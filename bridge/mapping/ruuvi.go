package mapping

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
)

// ruuviWords is the fields that a Ruuvi gateway has decoded itself. Its
// pressure is in Pa.
var ruuviWords = map[string]word{
	"voltage": {metric: "battery_voltage"}, "pressure": {metric: "pressure", unit: "Pa"}, "accelX": {metric: "acceleration_x", unit: "g"}, "accelY": {metric: "acceleration_y", unit: "g"},
	"accelZ": {metric: "acceleration_z", unit: "g"}, "movementCounter": {metric: "movement_counter"},
}

var ruuviSkip = map[string]bool{
	"gw_mac": true, "aoa": true, "gwts": true, "ts": true, "data": true, "coords": true, "dataFormat": true, "measurementSequenceNumber": true, "txPower": true, "id": true, "mac": true, "name": true,
	"cnt": true, "ble_phy": true, "ble_chan": true, "ble_tx_power": true, "ble_adi": true,
}

// ruuvi reads ruuvi/{gateway MAC}/{tag MAC} (Ruuvi, "Gateway data formats").
// The MAC of the tag is the device.
func (r *Reader) ruuvi(s *scan) bool {
	if s.levels[0] != "ruuvi" || len(s.levels) != 3 {
		return false
	}
	if s.last() == "gw_status" {
		s.ruuviGateway()
		return true
	}
	object, ok := s.object()
	if !ok {
		return true
	}
	d, ok := s.of(s.last(), "")
	if !ok {
		return true
	}
	d = d.since(unixMilli(object["ts"]))
	if rssi, ok := object["rssi"]; ok {
		d.add(canonical("rssi"), ofJSON("signal_strength", rssi))
		delete(object, "rssi")
	}
	if data := str(object, "data"); data != "" {
		s.ruuviData(d, data)
		return true
	}
	d.leaves(object, dialect{skip: ruuviSkip, words: ruuviWords})
	return true
}

func (s *scan) ruuviGateway() {
	object, ok := s.object()
	if !ok {
		return
	}
	if d, ok := s.of(s.levels[1], ""); ok {
		s.Payload = []byte(str(object, "state"))
		s.onOff(d, "online", "offline", area.PresentGoodbye)
	}
}

// ruuviData reads the manufacturer's data of an advertisement, in hexadecimal:
// Bluetooth's company 0x0499, then a format and its fields.
func (s *scan) ruuviData(d subject, data string) {
	b, err := hex.DecodeString(data)
	if err != nil {
		s.out.Faults.add(Syntax)
		return
	}
	at := strings.Index(string(b), "\xff\x99\x04")
	if at < 0 || len(b) < at+4 {
		s.out.Faults.add(Shape)
		return
	}
	switch b = b[at+3:]; {
	case b[0] == 5 && len(b) >= 24:
		d.ruuvi5(b)
	case b[0] == 3 && len(b) >= 14:
		d.ruuvi3(b)
	default:
		s.out.Faults.add(Shape)
	}
}

// ruuvi5 reads data format 5 ("RAWv2"). The largest value of a field means that
// it was not measured.
func (d subject) ruuvi5(b []byte) {
	u16 := func(at int) uint16 { return binary.BigEndian.Uint16(b[at:]) }
	put := func(metric, unit string, there bool, value float64) {
		if there {
			d.add(name{metric: metric, unit: unit}, verdict{value: round(value)})
		}
	}
	put("temperature", celsius, u16(1) != 0x8000, float64(int16(u16(1)))*0.005)
	put("humidity", "%", u16(3) != 0xffff, float64(u16(3))*0.0025)
	put("pressure", "hPa", u16(5) != 0xffff, (float64(u16(5))+50_000)/100)
	for i, axis := range []string{"acceleration_x", "acceleration_y", "acceleration_z"} {
		raw := u16(7 + 2*i)
		put(axis, "g", raw != 0x8000, float64(int16(raw))/1000)
	}
	power := u16(13)
	put("battery_voltage", "V", power>>5 != 0x7ff, (float64(power>>5)+1600)/1000)
	put("movement_counter", "", b[15] != 0xff, float64(b[15]))
}

// ruuvi3 reads data format 3 ("RAWv1"), whose temperature is a sign and a
// magnitude.
func (d subject) ruuvi3(b []byte) {
	u16 := func(at int) uint16 { return binary.BigEndian.Uint16(b[at:]) }
	temperature := float64(b[2]&0x7f) + float64(b[3])/100
	if b[2]&0x80 != 0 {
		temperature = -temperature
	}
	for _, f := range []struct {
		metric, unit string
		value        float64
	}{
		{"humidity", "%", float64(b[1]) / 2}, {"temperature", celsius, temperature}, {"pressure", "hPa", (float64(u16(4)) + 50_000) / 100},
		{"acceleration_x", "g", float64(int16(u16(6))) / 1000}, {"acceleration_y", "g", float64(int16(u16(8))) / 1000}, {"acceleration_z", "g", float64(int16(u16(10))) / 1000},
		{"battery_voltage", "V", float64(u16(12)) / 1000},
	} {
		d.add(name{metric: f.metric, unit: f.unit}, verdict{value: round(f.value)})
	}
}

// round takes away what binary fractions add to a decimal one.
func round(f float64) float64 { return math.Round(f*1e6) / 1e6 }
