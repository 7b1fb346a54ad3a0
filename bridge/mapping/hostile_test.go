package mapping

import (
	"fmt"
	"strings"
	"testing"
)

// hostile is payloads that nobody should send.
var hostile = map[string]string{
	"nothing": "", "nan": "nan", "null": "null", "deep list": strings.Repeat("[", 100_000), "deep object": strings.Repeat(`{"a":`, 100_000), "binary": "\xff\xfe\x00\x80",
	"huge": `{"a":"` + strings.Repeat("x", 2*MaxPayload) + `"}`, "open": `{"temperature":`, "number": "1e999", "list": "[1,2,3]", "null list": "[null]",
	"null fields": `{"temperature":null,"params":null,"nodes":null,"components":null,"device":null,"availability":null,"uplink_message":null,"deviceInfo":null,"data":null,"StatusSNS":null}`,
	"wrong types": `{"temperature":[1],"params":[],"nodes":"x","components":7,"cmps":[1],"device":"x","availability":[1,null,[]],"uplink_message":1,"data":{},"StatusSNS":"x","identifiers":{},"state":{},"events":[[],null,1]}`,
	"nan inside":  `{"temperature":NaN,"humidity":-Infinity,"params":{"switch:0":{"apower":nan}}}`,
	"many":        "{" + strings.TrimSuffix(strings.Repeat(`"k":1,`, 5000), ",") + "}",
	"control":     "{\"a\\u0000b\":1,\"\\n\":2,\"\":3}",
}

func TestHostilePayloads(t *testing.T) {
	table, err := Compile([]Rule{{Topic: "senml/#", Format: SenML}, {Topic: "json/{device}", Format: JSON}})
	if err != nil {
		t.Fatal(err)
	}
	topics := map[string]bool{"senml/x": true, "json/x": true, "home/a/b/c": true}
	for _, v := range vectors(t) {
		topics[v.Topic] = true
		for _, m := range v.Given.Messages {
			topics[m.Topic] = true
		}
	}
	for name, payload := range hostile {
		r := NewReader()
		for topic := range topics {
			for range 2 {
				out := r.Read(table, Message{Topic: topic, Payload: []byte(payload), User: "u"})
				if len(out.Values) > MaxValues || len(out.Moments) > MaxEvents {
					t.Errorf("%s on %s: %d values, %d moments", name, topic, len(out.Values), len(out.Moments))
				}
				check(t, topic, out)
			}
		}
	}
}

func TestHostileIsCounted(t *testing.T) {
	table, _ := Compile(nil)
	for topic, why := range map[string]Reason{"tele/x/SENSOR": Depth, "zigbee2mqtt/x": Depth, "homeassistant/sensor/x/config": Depth, "rtl_433/h/events": Depth, "v1/gateway/telemetry": Depth} {
		out := NewReader().Read(table, Message{Topic: topic, Payload: []byte(strings.Repeat(`{"a":`, 10_000))})
		if out.Faults[why] != 1 {
			t.Errorf("%s: %s", topic, show(out))
		}
	}
}

// check finds values that must never be made.
func check(t *testing.T, topic string, out Outcome) {
	t.Helper()
	for _, v := range out.Values {
		if v.Value == nil && !v.Bad || !isName(v.Metric) || !isName(string(v.Device)) || v.Channel != "" && !isName(v.Channel) || len(v.Unit) > maxName || len(v.Area) > maxName {
			t.Errorf("%.80q: %+v", topic, v)
		}
	}
	for _, p := range out.Presences {
		if !isName(string(p.Device)) || p.State == "" || p.Reason == "" {
			t.Errorf("%.80q: %+v", topic, p)
		}
	}
	for _, m := range out.Moments {
		if !isName(string(m.Device)) || !isName(m.Name) || m.Value == nil {
			t.Errorf("%.80q: %+v", topic, m)
		}
	}
}

func TestReaderLearnsNoMoreThanItMay(t *testing.T) {
	table, _ := Compile(nil)
	r, full := NewReader(), uint32(0)
	read := func(topic, payload string) {
		out := r.Read(table, Message{Topic: topic, Payload: []byte(payload)})
		full += out.Faults[Full]
	}
	for i := range 100_000 {
		read(fmt.Sprintf("homeassistant/sensor/x%d/config", i), fmt.Sprintf(`{"state_topic":"s/%d","availability_topic":"a/%d"}`, i, i))
	}
	if r.found.n != maxEntities || len(r.found.states) != maxEntities || len(r.found.avail) != maxEntities || full != 100_000-maxEntities {
		t.Errorf("%d entities, %d topics, %d refused", r.found.n, len(r.found.states), full)
	}
	for i := range 11_000 {
		read(fmt.Sprintf("homie/5/d%d/$description", i), `{"nodes":{"n":{"properties":{"a":{"datatype":"float"},"b":{},"c":{},"d":{},"e":{},"f":{}}}}}`)
		read(fmt.Sprintf("shelly%d/events/rpc", i), fmt.Sprintf(`{"src":"s%d"}`, i))
	}
	if len(r.homie) > maxDevices || r.facts > maxFacts || len(r.shelly) > maxDevices {
		t.Errorf("%d of Homie, %d facts, %d of Shelly", len(r.homie), r.facts, len(r.shelly))
	}
	for i := range 11_000 { // what is taken away makes room
		read(fmt.Sprintf("homeassistant/sensor/x%d/config", i), "")
		read(fmt.Sprintf("homie/5/d%d/$state", i), "")
	}
	if f := r.found; f.n != 0 || len(f.states) != 0 || len(f.avail) != 0 || len(f.devices) != 0 || len(f.configs) != 0 || len(r.homie) != 0 || r.facts != 0 {
		t.Errorf("left: %d entities, %d states, %d availabilities, %d devices, %d of Homie, %d facts", f.n, len(f.states), len(f.avail), len(f.devices), len(r.homie), r.facts)
	}
}

// FuzzRead reads a message after another one that may have announced something.
func FuzzRead(f *testing.F) {
	table, err := Compile([]Rule{{Topic: "senml/#", Format: SenML}, {Topic: "json/{device}", Format: JSON}})
	if err != nil {
		f.Fatal(err)
	}
	for _, v := range vectors(f) {
		before := vectorMessage{}
		if n := len(v.Given.Messages); n > 0 {
			before = v.Given.Messages[n-1]
		}
		a, b := before.message(f), v.message(f)
		f.Add(a.Topic, a.Payload, b.Topic, b.Payload)
	}
	f.Fuzz(func(t *testing.T, topicA string, payloadA []byte, topicB string, payloadB []byte) {
		var seen [2]string
		for i := range seen {
			r := NewReader()
			check(t, topicA, r.Read(table, Message{Topic: topicA, Payload: payloadA, User: "u"}))
			out := r.Read(table, Message{Topic: topicB, Payload: payloadB, User: "u"})
			check(t, topicB, out)
			seen[i] = fmt.Sprint(show(out), out.Presences, out.Moments, out.Sights, out.Gone, out.Again)
		}
		if seen[0] != seen[1] {
			t.Errorf("%q %q: %s, then %s", topicB, payloadB, seen[0], seen[1])
		}
	})
}
