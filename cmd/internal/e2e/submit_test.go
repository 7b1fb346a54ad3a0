package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
)

// TestSubmit: work that is handed in over MQTT is an order before it is
// acknowledged; what is refused is answered.
func TestSubmit(t *testing.T) {
	t.Parallel()
	h := start(t)
	const topic = "tacet/area/north/submit"
	h.publish(topic, `{"v":1,"work":"w-1","location":"1","dur_ms":8000,"prio":150,"ttl_ms":60000,"redo":"once","body":{"message":"Boarding","chime":"gong"},"later":1}`, "-q", "1")
	o := h.order("w-1")
	if o.Area != "north" || o.Priority != area.High || o.DurationMs != 8000 || o.Redo != area.RedoOnce || o.Chime != "gong" || o.Message == nil || *o.Message != "Boarding" {
		t.Errorf("the order is %+v", o)
	}
	before := h.shows("w-1", "waiting", ended(area.OrderWaiting)) // no device is there to take it
	h.publish(topic, `{"v":1,"work":"w-1","body":{"message":"again"}}`)
	if again := h.order("w-1"); *again.Message != "Boarding" || len(again.History) != len(before.History) {
		t.Errorf("submitting again has made %+v", again)
	}
	h.publish(topic, `{"v":1,"work":"w-2"}`, "-q", "1")
	if o := h.order("w-2"); o.DurationMs != 5000 || o.Priority != area.Normal || o.Expires.String() != "5m0s" && o.Expires.String() != "5m" {
		t.Errorf("the order of a bare work is %+v", o)
	}
	sub := h.subscribe("-v", "-t", "tacet/response/+")
	for name, c := range map[string]struct {
		topic, payload string
		code           area.Code
	}{
		"bad-location": {topic, `"location":"9"`, area.CodeUnknownLocation},
		"far-location": {topic, `"location":"3"`, area.CodeUnknownLocation},
		"bad-device":   {topic, `"device":"gate-0"`, area.CodeUnknownDevice},
		"bad-area":     {"tacet/area/west/submit", `"prio":100`, area.CodeUnknownArea},
		"bad-prio":     {topic, `"prio":999`, area.CodeInvalid},
		"bad-chime":    {topic, `"body":{"message":"x","chime":"tuba"}`, area.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			payload := `{"v":1,"work":"` + name + `",` + c.payload + `}`
			h.publish(c.topic, payload) // 3.1.1 is acknowledged
			said, after := sub.message(0, "tacet/response/"+name, anything)
			var refusal struct{ Error struct{ Code, Detail string } }
			if err := json.Unmarshal([]byte(said), &refusal); err != nil || refusal.Error.Code != string(c.code) || refusal.Error.Detail == "" {
				t.Errorf("answered %s, want code %s", said, c.code)
			}
			out, _ := h.pub("-V", "5", "-t", c.topic, "-m", payload)
			if !strings.Contains(strings.ToLower(out), "payload format invalid") {
				t.Errorf("MQTT 5 is told %q, want payload format invalid", out)
			}
			sub.message(after, "tacet/response/"+name, anything)
			h.call("GET", "/orders/"+name, nil).refused(t, 404, area.CodeNotFound)
		})
	}
	h.call("GET", "/areas/west", nil).refused(t, 404, area.CodeNotFound)
}
