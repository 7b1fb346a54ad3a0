package order

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

func TestSubmit(t *testing.T) {
	for _, c := range []struct {
		name, payload string
		code          area.Code
		fields        string
		want          func(area.Order) bool
	}{
		{"work alone", `{"v":1,"work":"w-1"}`, "", "", func(o area.Order) bool {
			return o.DurationMs == 5000 && o.Priority == area.Normal && o.Expires == area.Duration(5*time.Minute) && o.Redo == area.RedoRetry && o.Message == nil
		}},
		{"everything", `{"v":1,"work":"w-1","location":"1","dur_ms":8000,"prio":120,"ttl_ms":60000,"redo":"once","body":{"message":"hi","chime":"two-tone","volume":5,"what":1}}`, "", "", func(o area.Order) bool {
			return o.DurationMs == 8000 && o.Priority == 120 && o.Expires == area.Duration(time.Minute) && o.Redo == area.RedoOnce && *o.To.Location == "1" && *o.Volume == 5
		}},
		{"estimate", `{"work":"w-1","device":"gate-1","body":{"message":"0123456789","priority":"high"}}`, "", "", func(o area.Order) bool {
			return o.DurationMs == 670 && o.Priority == area.High && *o.To.Device == "gate-1"
		}},
		{"bad values", `{"work":"w-1","ttl_ms":0,"body":{"volume":999,"message":""}}`, area.CodeInvalid, "body.message body.volume ttl_ms", nil},
		{"bad types", `{"work":"w-1","body":{"volume":"x"}}`, area.CodeBadRequest, "body.volume", nil},
		{"body is no object", `{"work":"w-1","body":[1]}`, area.CodeBadRequest, "", nil},
		{"unknown location", `{"work":"w-1","location":"9"}`, area.CodeUnknownLocation, "", nil},
		{"device of another area", `{"work":"w-1","device":"gate-3"}`, area.CodeUnknownDevice, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, Config{})
			sub, err := area.ParseSubmit([]byte(c.payload))
			if err != nil {
				t.Fatal(err)
			}
			err = b.Submit(t.Context(), "north", sub)
			if area.CodeOf(err) != c.code || c.fields != "" && fieldsOf(err) != c.fields {
				t.Fatalf("%s: %v (%s), want %q %s", c.payload, err, fieldsOf(err), c.code, c.fields)
			}
			if c.want == nil {
				return
			}
			if o, err := b.Get("w-1"); err != nil || !c.want(o) {
				t.Errorf("%s: %+v, %v", c.payload, o, err)
			}
			if err := b.Submit(t.Context(), "north", sub); err != nil || len(b.desk.submitted()) != 1 || b.Stats().Known != 1 {
				t.Errorf("submitting again: %v, %d works", err, len(b.desk.submitted()))
			}
		})
	}
	b := newBench(t, Config{})
	if err := b.Submit(t.Context(), "west", area.Submit{Work: "w-1"}); area.CodeOf(err) != area.CodeUnknownArea {
		t.Errorf("unknown area: %v", err)
	}
}

func TestOrderShape(t *testing.T) {
	b := newBench(t, Config{})
	o := b.accept(t, say("north", "hi"))
	raw, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	if err := json.Unmarshal(raw, &keys); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"id", "to", "area", "kind", "message", "clip", "chime", "languages", "priority", "volume", "repeat", "not_before", "expires", "if_busy", "state", "reason",
		"attempt", "device", "duration_ms", "created_at", "estimated_start", "after", "started_at", "ended_at", "expires_at", "history"} {
		if _, ok := keys[k]; !ok {
			t.Errorf("no key %s in %s", k, raw)
		}
	}
	if keys["expires"] != "5m" || keys["priority"] != "normal" {
		t.Errorf("expires %v, priority %v", keys["expires"], keys["priority"])
	}
}
