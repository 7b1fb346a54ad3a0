package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// rubbish is payloads that nobody should send.
func rubbish() map[string]string {
	return map[string]string{
		"nothing": "", "nan": "nan", "NaN": "NaN", "null": "null", "infinity": "-Infinity", "a number beyond": "1e999", "list": "[1,null,[]]", "open": `{"temperature":`,
		"binary": "\xff\xfe\x00\x80", "deep, and short enough": strings.Repeat("[", 20_000), "deep lists": strings.Repeat("[", 100_000), "deep objects": strings.Repeat(`{"a":`, 100_000),
		"closed deep":   strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000),
		"a MiB of text": strings.Repeat("x", 1<<20), "a MiB of JSON": `{"temperature":[` + strings.Repeat("1,", 1<<19) + `1]}`,
		"nulls":    `{"temperature":null,"params":null,"nodes":null,"device":null,"uplink_message":null,"object":null,"data":null,"StatusSNS":null,"state":null}`,
		"nan deep": `{"temperature":NaN,"uplink_message":{"decoded_payload":{"temperature":nan}},"params":{"switch:0":{"apower":-Infinity}}}`,
	}
}

// announced is what comes before the word of some, on topics that get rubbish, too.
var announced = map[string][][2]string{
	"homeassistant-discovery": {{"homeassistant/sensor/hostile-ha/config", `{"state_topic":"hostile/ha","device_class":"temperature"}`}},
	"homie5": {
		{"homie/5/hostile-homie/$state", "ready"},
		{"homie/5/hostile-homie/$description", `{"homie":"5.0","version":1,"nodes":{"n":{"properties":{"temperature":{"datatype":"float","unit":"°C"}}}}}`},
	},
}

// good is what a sensor of each convention says after the rubbish: that it has 21 °C.
var good = []struct{ name, topic, payload, device string }{
	{"homeassistant-discovery", "hostile/ha", "21", "hostile-ha"},
	{"homie5", "homie/5/hostile-homie/n/temperature", "21", "hostile-homie"},
	{"zigbee2mqtt", "zigbee2mqtt/north/hostile-z", `{"temperature":21}`, "hostile-z"},
	{"tasmota", "tele/hostile-tas/SENSOR", `{"SI7021":{"Temperature":21}}`, "hostile-tas"},
	{"shelly-gen2", "hostile-shelly2/status/temperature:0", `{"id":0,"tC":21}`, "hostile-shelly2"},
	{"shelly-gen2 rpc", "hostile-rpc/events/rpc", `{"src":"hostile-rpc","method":"NotifyStatus","params":{"temperature:0":{"id":0,"tC":21}}}`, "hostile-rpc"},
	{"shelly-gen1", "shellies/hostile-shelly1/ext_temperature/0", "21", "hostile-shelly1"},
	{"esphome", "hostile-esp/sensor/temperature/state", "21", "hostile-esp"},
	{"openmqttgateway", "home/OMG/BTtoMQTT/A4C138AABBCC", `{"id":"A4:C1:38:AA:BB:CC","tempc":21}`, "A4C138AABBCC"},
	{"rtl_433", "rtl_433/h/events", `{"model":"Hostile","id":7,"temperature_C":21}`, "Hostile-7"},
	{"the-things-stack", "v3/app@ttn/devices/hostile-tts/up", `{"end_device_ids":{"device_id":"hostile-tts"},"uplink_message":{"decoded_payload":{"temperature":21}}}`, "hostile-tts"},
	{"chirpstack", "application/1/device/0102030405060708/event/up", `{"deviceInfo":{"devEui":"0102030405060708"},"object":{"temperature":21}}`, "0102030405060708"},
	{"thingsboard", "v1/gateway/telemetry", `{"hostile-tb":[{"ts":1483228800000,"values":{"temperature":21}}]}`, "hostile-tb"},
	{"thingsboard device", "v1/devices/me/telemetry", `{"temperature":21}`, "sender"},
	{"senml", "hostile/senml", `[{"bn":"hostile-senml","n":"temperature","u":"Cel","v":21}]`, "hostile-senml"},
	{"json-fields", "hostile/json/hostile-json", `{"temperature":21}`, "hostile-json"},
	{"raw", "home/north/hostile-raw/temperature", "21", "hostile-raw"},
}

// TestHostileSensors: through the real broker each convention gets what nobody should
// send, on topics as long as may be, too; all of it is counted, none of it is a
// reading of a wrong kind, and each sensor is read when it speaks well, others all
// the while.
func TestHostileSensors(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *conf.Config) { c.Limits.MQTTPacketBytes = 2 << 20 })
	for _, m := range []string{`{"topic":"hostile/senml","format":"senml"}`, `{"topic":"hostile/json/{device}","format":"json"}`} {
		h.call("POST", "/mappings", m).want(t, http.StatusCreated, nil)
	}
	w, s := h.watch(), h.sender()
	for i, c := range good {
		topics := append(announced[c.name], [2]string{c.topic, c.payload})
		for _, m := range topics {
			for _, payload := range rubbish() {
				s.publish(m[0], payload)
			}
		}
		level := c.topic[:strings.LastIndexByte(c.topic, '/')+1]
		s.publish(level+strings.Repeat("x", 512-len(level)), c.payload) // as long as a topic may be
		other := area.DeviceID(fmt.Sprint("other-", i))
		s.publish(fmt.Sprintf("home/south/%s/temperature", other), "5")
		w.reading(0, func(r area.Reading) bool { return r.Device == other && r.Value == 5.0 })
		for _, m := range topics {
			s.publish(m[0], m[1])
		}
		w.reading(0, func(r area.Reading) bool {
			return string(r.Device) == c.device && r.Value == 21.0 && r.Metric == "temperature"
		})
		var d area.Device
		h.get("/devices/"+url.PathEscape(c.device), &d)
		for _, r := range d.Readings {
			if text, ok := r.Value.(string); ok && len(text) > 128 {
				t.Errorf("%s: a reading of %d bytes: %s", c.name, len(text), r.Metric)
			}
		}
	}
	for _, topic := range []string{"spBv1.0/north/NBIRTH/node", "spBv1.0/north/DDATA/node/device", "ruuvi/AA:BB:CC:DD:EE:FF/11:22:33:44:55:66", "shellies/announce", "zigbee2mqtt/bridge/devices", "hostile-esp/status"} {
		for _, payload := range rubbish() {
			s.publish(topic, payload)
		}
	}
	if out, err := h.pub("-t", strings.Repeat("y", 513), "-m", "1"); err == nil {
		t.Errorf("a topic of 513 bytes was taken: %s", out)
	}
	s.publish("home/south/last/temperature", "6") // who did that is gone, nobody else
	w.reading(0, func(r area.Reading) bool { return r.Device == "last" && r.Value == 6.0 })
	for _, reason := range []string{"depth", "size", "not_finite", "null", "syntax", "binary", "empty"} {
		if v := h.metric(fmt.Sprintf(`tacet_pump_faults{reason="%s"}`, reason)); v == 0 {
			t.Errorf("nothing is counted as %s", reason)
		}
	}
	h.until("the hub is well", func() bool { return h.call("GET", h.ready.HTTP+"/readyz", nil).status == http.StatusOK })
}
