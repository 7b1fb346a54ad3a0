package mapping

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// vector is a real message and what must come of it (testdata/vectors, one file
// for each convention).
type vector struct {
	ID         string
	Convention string
	Given      struct {
		Messages []vectorMessage
		Mappings []Rule
		Assign   map[area.DeviceID]string
	}
	vectorMessage
	Expect []vectorDevice
	Exact  bool
	Absent []string
}

// vectorMessage is one message of a vector.
type vectorMessage struct {
	Topic   string
	Payload string
	Hex     string // in the place of a payload that is no text
	User    string
	Will    bool
	Live    *bool // false: a retained copy
}

// vectorDevice is one device as it must be shown.
type vectorDevice struct {
	Device   area.DeviceID
	Area     string
	Name     string
	Readings []struct {
		Metric  string
		Value   any
		Unit    *string
		Channel json.RawMessage
		Bad     bool
		TS      int64
	}
	Presence area.Presence
	Reason   string
	Events   []struct {
		Name    string
		Channel string
		Value   any
	}
}

// vectors reads all vectors.
func vectors(t testing.TB) (all []vector) {
	t.Helper()
	files, err := filepath.Glob("testdata/vectors/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	for _, file := range files {
		var list []vector
		text, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(text, &list)
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, list...)
	}
	return all
}

// message is a vector's message as a reader gets it.
func (m vectorMessage) message(t testing.TB) Message {
	payload := []byte(m.Payload)
	if m.Hex != "" {
		var err error
		if payload, err = decodeHex(m.Hex); err != nil {
			t.Fatal(err)
		}
	}
	return Message{Topic: m.Topic, Payload: payload, User: m.User, Will: m.Will, Replay: m.Live != nil && !*m.Live, At: time.Unix(1_795_255_200, 0)}
}

func decodeHex(s string) (b []byte, err error) {
	_, err = fmt.Sscanf(strings.ReplaceAll(s, " ", ""), "%x", &b)
	return b, err
}

// shown is what is known of one device after the messages of a vector.
type shown struct {
	area, name string
	presence   area.Presence
	reason     string
	values     []Value
	moments    []Moment
}

// watchVector reads the messages of a vector and answers what is shown of the last
// one, with the presence and the names of all.
func watchVector(t *testing.T, v vector) (map[area.DeviceID]*shown, Outcome) {
	table, err := Compile(v.Given.Mappings)
	if err != nil {
		t.Fatal(err)
	}
	r, devices := NewReader(), map[area.DeviceID]*shown{}
	of := func(d area.DeviceID, place string) *shown {
		if devices[d] == nil {
			devices[d] = &shown{area: "unassigned"}
		}
		if place != "" {
			devices[d].area = place
		}
		if assigned, ok := v.Given.Assign[d]; ok {
			devices[d].area = assigned
		}
		return devices[d]
	}
	var out Outcome
	for _, m := range append(v.Given.Messages, v.vectorMessage) {
		for _, s := range devices {
			s.values, s.moments = nil, nil
		}
		out = r.Read(table, m.message(t))
		for _, s := range out.Sights {
			if d := of(s.Device, s.Area); s.Name != "" {
				d.name = s.Name
			}
		}
		for _, p := range out.Presences {
			d := of(p.Device, p.Area)
			d.presence, d.reason = p.State, p.Reason
		}
		for _, x := range out.Values {
			d := of(x.Device, x.Area)
			d.values = append(d.values, x)
		}
		for _, x := range out.Moments {
			d := of(x.Device, x.Area)
			d.moments = append(d.moments, x)
		}
		for _, d := range out.Gone {
			delete(devices, d)
		}
	}
	return devices, out
}

func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.Convention+"/"+v.ID, func(t *testing.T) {
			devices, out := watchVector(t, v)
			for _, want := range v.Expect {
				got := devices[want.Device]
				if got == nil {
					t.Errorf("no device %q; there are %s, outcome %s", want.Device, ids(devices), show(out))
					continue
				}
				if got.area != want.Area || want.Name != "" && got.name != want.Name || want.Presence != "" && got.presence != want.Presence || want.Reason != "" && got.reason != want.Reason {
					t.Errorf("%s: got area %q, name %q, presence %q (%s); want %q, %q, %q (%s)", want.Device, got.area, got.name, got.presence, got.reason, want.Area, want.Name, want.Presence, want.Reason)
				}
				compareValues(t, v, want, got)
				compareMoments(t, want, got)
			}
			compareRest(t, v, devices)
		})
	}
}

func ids(devices map[area.DeviceID]*shown) string {
	var list []string
	for d := range devices {
		list = append(list, string(d))
	}
	slices.Sort(list)
	return fmt.Sprintf("%q", list)
}

func compareValues(t *testing.T, v vector, want vectorDevice, got *shown) {
	t.Helper()
	for _, w := range want.Readings {
		unit, channel := "", ""
		if w.Unit != nil {
			unit = *w.Unit
		}
		_ = json.Unmarshal(w.Channel, &channel)
		if !slices.ContainsFunc(got.values, func(x Value) bool {
			return x.Metric == w.Metric && same(x.Value, w.Value) && x.Unit == unit && x.Bad == w.Bad && (w.Channel == nil || x.Channel == channel) && (w.TS == 0 || x.TS == w.TS)
		}) {
			t.Errorf("%s: no reading %s/%s %v %s (bad %v, ts %d) in %+v", want.Device, w.Metric, channel, w.Value, unit, w.Bad, w.TS, got.values)
		}
	}
	if v.Exact && len(got.values) != len(want.Readings) {
		t.Errorf("%s: %d readings, want exactly %d: %+v", want.Device, len(got.values), len(want.Readings), got.values)
	}
}

func compareMoments(t *testing.T, want vectorDevice, got *shown) {
	t.Helper()
	for _, w := range want.Events {
		if !slices.ContainsFunc(got.moments, func(m Moment) bool { return m.Name == w.Name && m.Channel == w.Channel && same(m.Value, w.Value) }) {
			t.Errorf("%s: no event %s/%s %v in %+v", want.Device, w.Name, w.Channel, w.Value, got.moments)
		}
	}
}

// compareRest looks for what must not be there.
func compareRest(t *testing.T, v vector, devices map[area.DeviceID]*shown) {
	t.Helper()
	for d, got := range devices {
		if v.Exact && !slices.ContainsFunc(v.Expect, func(w vectorDevice) bool { return w.Device == d }) {
			t.Errorf("device %q: not wanted", d)
		}
		for _, x := range got.values {
			if slices.ContainsFunc(v.Absent, func(a string) bool {
				return strings.EqualFold(a, x.Metric) || strings.HasSuffix(strings.ToLower(x.Metric), "."+strings.ToLower(a))
			}) {
				t.Errorf("device %q: reading %s must not be", d, x.Metric)
			}
		}
	}
}

// same compares values with a tolerance of 1e-6.
func same(got, want any) bool {
	a, isNumber := got.(float64)
	b, too := want.(float64)
	if isNumber && too {
		return math.Abs(a-b) <= 1e-6*math.Max(1, math.Abs(b))
	}
	return got == want
}
