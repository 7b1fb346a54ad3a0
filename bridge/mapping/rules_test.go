package mapping

import (
	"fmt"
	"strings"
	"testing"
)

// said is a message of a rule's example.
type said struct{ topic, payload string }

// TestRulesOfSensors goes through the rules that hold for all conventions, one case
// for each thing that a rule says: which area, who reads a topic, which unit, what a
// state is, what is no reading, what is an event. What they say of operators'
// assignments and of retained copies is the registry's.
func TestRulesOfSensors(t *testing.T) {
	table, err := Compile([]Rule{{Topic: "hall/{area}/{device}/{metric}", Format: Raw}, {Topic: "tele/mine/SENSOR", Format: JSON, Device: "mine", Fields: map[string]string{"SI7021.Temperature": "noise"}}})
	if err != nil {
		t.Fatal(err)
	}
	config := func(more string) said {
		return said{"homeassistant/sensor/x/config", `{"state_topic":"zigbee2mqtt/north/x","device_class":"temperature","value_template":"{{ value_json.temperature }}"` + more + `}`}
	}
	for _, c := range []struct {
		what   string
		before []said
		m      said
		want   string
	}{
		// Area: the capture of a mapping, what discovery suggests, the path of a Zigbee name, Sparkplug's group, none.
		{"area of a capture", nil, said{"hall/north/d/co2", "400"}, "d@north co2=400ppm"},
		{"area that is suggested", []said{config(`,"device":{"ids":["d"],"sa":"Kitchen"}`)}, said{"zigbee2mqtt/north/x", `{"temperature":21}`}, "d@Kitchen temperature=21°C"},
		{"area of a Zigbee name behind discovery", []said{config(`,"device":{"ids":["d"]}`)}, said{"zigbee2mqtt/north/x", `{"temperature":21}`}, "d@north temperature=21°C"},
		{"area of a Zigbee name", nil, said{"zigbee2mqtt/a/b/x", `{"temperature":21}`}, "x@a/b temperature=21°C"},
		{"no area", nil, said{"zigbee2mqtt/x", `{"temperature":21}`}, "x@ temperature=21°C"},
		// Who reads: discovery before the convention of the topic, a convention before the built-in mapping, an operator's before all.
		{"discovery before Zigbee2MQTT", []said{config("")}, said{"zigbee2mqtt/north/x", `{"temperature":21,"humidity":40}`}, "x@north temperature=21°C"},
		{"a convention before the built-in mapping", nil, said{"home/gw/BTtoMQTT/A4C138AABBCC", `{"id":"A4:C1:38:AA:BB:CC","tempc":21}`}, "A4C138AABBCC@ temperature=21°C"},
		{"the built-in mapping", nil, said{"home/north/d/temperature", "21"}, "d@north temperature=21°C"},
		{"the operator before a convention", nil, said{"tele/mine/SENSOR", `{"SI7021":{"Temperature":21,"Humidity":40}}`}, "mine@ noise=21dB"},
		// Unit: declared, else the convention's, else the metric's own, else none. °C of both.
		{"unit that is declared", []said{config(`,"unit_of_measurement":"K"`)}, said{"zigbee2mqtt/north/x", `{"temperature":294}`}, "x@north temperature=294K"},
		{"unit of the payload", nil, said{"tele/t/SENSOR", `{"BME280":{"Pressure":741},"PressureUnit":"mmHg"}`}, "t@ pressure/BME280=741mmHg"},
		{"unit of the convention", nil, said{"s/status/switch:0", `{"id":0,"aenergy":{"total":5}}`}, "s@ energy/switch:0=5Wh"},
		{"unit of the metric", nil, said{"hall/north/d/pm25", "7"}, "d@north pm25=7µg/m³"},
		{"no unit", nil, said{"hall/north/d/count", "7"}, "d@north count=7"},
		{"°C of both", nil, said{"s/status/temperature:0", `{"id":0,"tC":21,"tF":69.8}`}, "s@ temperature/temperature:0=21°C"},
		// States of two are booleans; of a metric that is none, a number stays one.
		{"ON", nil, said{"stat/p/POWER", "ON"}, "p@ switch=true"},
		{"false", nil, said{"zigbee2mqtt/d", `{"contact":false}`}, "d@ contact=false"},
		{"open", nil, said{"hall/north/d/contact", "open"}, "d@north contact=true"},
		{"1 of two", nil, said{"hall/north/d/occupancy", "1"}, "d@north occupancy=true"},
		{"1 of many", nil, said{"hall/north/d/co2", "1"}, "d@north co2=1ppm"},
		// No reading: text that is no state, null, NaN, lists; text for a number is bad.
		{"text", nil, said{"zigbee2mqtt/d", `{"note":"hello there","temperature":21}`}, "d@ temperature=21°C"},
		{"null", nil, said{"zigbee2mqtt/d", `{"humidity":null,"temperature":21}`}, "d@ temperature=21°C; -null:1"},
		{"NaN", nil, said{"tele/t/SENSOR", `{"SI7021":{"Temperature":21,"Humidity":nan}}`}, "t@ temperature/SI7021=21°C; -not_finite:1; -null:1"},
		{"list", nil, said{"zigbee2mqtt/d", `{"list":[1,2],"temperature":21}`}, "d@ temperature=21°C; -list:1"},
		{"text for a number", nil, said{"hall/north/d/temperature", "err"}, "d@north temperature=<nil>°C bad; -text:1"},
		// Momentary: events.
		{"a button", nil, said{"zigbee2mqtt/d", `{"action":"single","battery":90}`}, "d@ battery=90%; d action single"},
		{"a press", nil, said{"s/events/rpc", `{"src":"s","method":"NotifyEvent","params":{"events":[{"component":"input:0","id":0,"event":"single_push"}]}}`}, "s action/input:0 single_push"},
	} {
		r := NewReader()
		for _, m := range c.before {
			r.Read(table, Message{Topic: m.topic, Payload: []byte(m.payload)})
		}
		out := r.Read(table, Message{Topic: c.m.topic, Payload: []byte(c.m.payload)})
		parts := []string{show(out)}
		for _, m := range out.Moments {
			name := m.Name
			if m.Channel != "" {
				name += "/" + m.Channel
			}
			parts = append(parts, fmt.Sprint(m.Device, " ", name, " ", m.Value))
		}
		if got := strings.TrimPrefix(strings.Join(parts, "; "), "; "); got != c.want {
			t.Errorf("%s: got %q, want %q", c.what, got, c.want)
		}
	}
}
