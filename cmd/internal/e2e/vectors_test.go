package e2e

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
)

// vector is a real message of a foreign sensor and what must come of it
// (bridge/mapping/testdata/vectors).
type vector struct {
	ID, Convention string

	Source string // who sent it so; ours have none
	Given  struct {
		Messages []vectorMessage
		Mappings []json.RawMessage
		Assign   map[string]string
	}
	vectorMessage
	Expect []struct {
		Device, Area, Name string
		Presence           area.Presence
		Readings           []vectorReading
	}
	Exact  bool
	Absent []string
}

type vectorReading struct {
	Metric  string
	Value   any
	Unit    *string
	Channel *string
	TS      int64
}

type vectorMessage struct {
	Topic, Payload string
	Hex            string // in the place of a payload that is no text
	User           string
	Retain, Will   bool
}

func readVectors(t *testing.T) (list []vector) {
	t.Helper()
	files, err := filepath.Glob("../../../bridge/mapping/testdata/vectors/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	for _, file := range files {
		var of []vector
		text, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(text, &of)
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		list = append(list, of...)
	}
	return list
}

// TestForeignSensors: what mosquitto_pub publishes as real devices do is shown
// in the right area with the right unit.
func TestForeignSensors(t *testing.T) {
	t.Parallel()
	h := start(t)
	w := h.watch()
	known, before := map[string]bool{}, map[string]bool{}
	for i, v := range slices.DeleteFunc(readVectors(t), func(v vector) bool { return v.Source == "" }) {
		for _, in := range slices.Sorted(maps.Values(v.Given.Assign)) {
			if !known[in] {
				h.call("POST", h.ready.HTTP+"/api/v1/areas", map[string]string{"id": in})
				known[in] = true
			}
		}
		for device, in := range v.Given.Assign {
			h.call("PUT", h.ready.HTTP+"/api/v1/devices/"+url.PathEscape(device), map[string]string{"area": in}).want(t, 200, nil)
		}
		for _, m := range v.Given.Mappings {
			h.call("POST", h.ready.HTTP+"/api/v1/mappings", m).want(t, 201, nil)
		}
		for _, m := range append(v.Given.Messages, v.vectorMessage) {
			var more []string
			if m.Retain {
				more = append(more, "-r")
			}
			h.publish(m.Topic, m.Payload, more...)
		}
		mark := area.DeviceID(fmt.Sprintf("mark-%d", i))
		h.publish(fmt.Sprintf("home/north/%s/count", mark), "1")
		w.reading(0, func(r area.Reading) bool { return r.Device == mark })
		for _, d := range v.Expect {
			v.Exact = v.Exact && !before[d.Device] // else it shows what the vectors before left
			before[d.Device] = true
		}
		h.checkVector(t, v)
	}
	h.publish("v1/devices/me/telemetry", `{"temperature":19}`, "-u", "probe-7")
	w.reading(0, func(r area.Reading) bool { return r.Device == "probe-7" && r.Value == 19.0 })
}

// TestEveryVector: each vector of each convention, said by mosquitto_pub to a hub of
// its own, is a sensor with its presence, values, units and channels at REST. Nobody
// dies here, so those of a will are left out: [TestSensorSaysWhyItIsAway] has one.
func TestEveryVector(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t) {
		if v.Source != "" || v.Will || slices.ContainsFunc(v.Given.Messages, func(m vectorMessage) bool { return m.Will }) {
			continue
		}
		t.Run(v.Convention+"/"+v.ID, func(t *testing.T) {
			t.Parallel()
			h := start(t)
			for _, m := range v.Given.Mappings {
				h.call("POST", "/mappings", m).want(t, 201, nil)
			}
			for device, in := range v.Given.Assign {
				h.call("PUT", "/devices/"+url.PathEscape(device), map[string]string{"area": in}).want(t, 200, nil)
			}
			for _, m := range append(v.Given.Messages, v.vectorMessage) {
				h.sayVector(m)
			}
			for _, want := range v.Expect {
				h.until(want.Device+" is "+string(want.Presence), func() bool {
					var d area.Device
					a := h.call("GET", "/devices/"+url.PathEscape(want.Device), nil)
					return a.status == 200 && json.Unmarshal(a.body, &d) == nil && (want.Presence == "" || d.Presence == want.Presence)
				})
				for i, r := range want.Readings {
					if slices.ContainsFunc(want.Readings[i+1:], func(later vectorReading) bool { return later.Metric == r.Metric && sameText(later.Channel, r.Channel) }) {
						continue // it was measured before one that is shown
					}
					h.until(fmt.Sprintf("%s has %s %v", want.Device, r.Metric, r.Value), func() bool {
						var d area.Device
						a := h.call("GET", "/devices/"+url.PathEscape(want.Device), nil)
						return json.Unmarshal(a.body, &d) == nil && slices.ContainsFunc(d.Readings, func(got area.Reading) bool {
							return got.Metric == r.Metric && sameValue(got.Value, r.Value) && sameText(got.Unit, r.Unit) && (r.Channel == nil || sameText(got.Channel, r.Channel))
						})
					})
				}
			}
		})
	}
}

// sayVector has mosquitto_pub say one message of a vector.
func (h *hub) sayVector(m vectorMessage) {
	h.t.Helper()
	args := []string{"-q", "2", "-t", m.Topic, "-m", m.Payload} // each after the one before, see publish
	if m.Hex != "" {
		file := filepath.Join(h.t.TempDir(), "payload")
		b, err := hex.DecodeString(strings.ReplaceAll(m.Hex, " ", ""))
		if err == nil {
			err = os.WriteFile(file, b, 0o600)
		}
		if err != nil {
			h.t.Fatal(err)
		}
		args = []string{"-q", "2", "-t", m.Topic, "-f", file}
	}
	if m.Retain {
		args = append(args, "-r")
	}
	if m.User != "" {
		args = append(args, "-u", m.User)
	}
	if out, err := h.pub(args...); err != nil {
		h.t.Fatalf("mosquitto_pub %q: %v: %s", args, err, out)
	}
}

// checkVector waits until what a vector expects is shown: whose messages came from
// another connection than the mark may be heard after it.
func (h *hub) checkVector(t *testing.T, v vector) {
	t.Helper()
	faults := []string{"not asked"}
	defer func() {
		for _, f := range faults {
			t.Errorf("%s: %s", v.ID, f)
		}
	}()
	h.until(v.ID+" is shown", func() bool {
		faults = h.vectorFaults(v)
		return len(faults) == 0
	})
}

// vectorFaults is in what the hub shows something else than a vector expects.
func (h *hub) vectorFaults(v vector) (list []string) {
	fault := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	for _, want := range v.Expect {
		var d area.Device
		if a := h.call("GET", "/devices/"+url.PathEscape(want.Device), nil); a.status != 200 || json.Unmarshal(a.body, &d) != nil {
			fault("%s: %d %s", want.Device, a.status, a.body)
			continue
		}
		if string(d.Area) != want.Area || want.Presence != "" && d.Presence != want.Presence || want.Name != "" && d.Name != want.Name || d.LastSeen == nil {
			fault("%s is in %s, %s, called %s, seen %v; want %s, %s, %s", want.Device, d.Area, d.Presence, d.Name, d.LastSeen, want.Area, want.Presence, want.Name)
		}
		newest := int64(0)
		for _, r := range want.Readings {
			newest = max(newest, r.TS)
		}
		for _, r := range want.Readings {
			if r.TS == newest && !slices.ContainsFunc(d.Readings, func(got area.Reading) bool {
				return got.Metric == r.Metric && sameValue(got.Value, r.Value) && sameText(got.Unit, r.Unit) && (r.Channel == nil || sameText(got.Channel, r.Channel)) && (r.TS == 0 || got.TS == r.TS)
			}) {
				fault("%s has no %s %v in %+v", want.Device, r.Metric, r.Value, d.Readings)
			}
		}
		for _, r := range d.Readings {
			if slices.ContainsFunc(v.Absent, func(name string) bool { return strings.EqualFold(name, r.Metric) }) {
				fault("%s has %s", want.Device, r.Metric)
			}
		}
		if v.Exact && len(want.Readings) != len(d.Readings) {
			fault("%s has %d readings, want %d", want.Device, len(d.Readings), len(want.Readings))
		}
	}
	return list
}

func sameValue(got, want any) bool {
	a, isNumber := got.(float64)
	b, too := want.(float64)
	if isNumber && too {
		return math.Abs(a-b) <= 1e-6*math.Max(1, math.Abs(b))
	}
	return got == want
}

func sameText(a, b *string) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
