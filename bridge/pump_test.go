package bridge

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/broker/area"
)

func TestReadingsReachTheWatchers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus()
		must(t, b.Publish(t.Context(), area.Message{Topic: "home/south/yard/co2", Payload: []byte("400"), Retain: true}))
		w := newWorld(t, b)
		synctest.Wait()
		w.publish(t, "home/north/hall/temperature", "21.5")
		w.publish(t, "tacet/device/lone/tele/noise", "60")
		w.publish(t, "home/north/hall/temperature", "broken")
		synctest.Wait()
		ts := time.Now().UnixMilli()
		for group, want := range map[string]string{
			"area:south": fmt.Sprintf(`Reading[{"device":"yard","area":"south","metric":"co2","channel":null,"value":400,"unit":"ppm","quality":"stale","ts":%d,"topic":"home/south/yard/co2"}]`, ts),
			"area:north": fmt.Sprintf(`Reading[{"device":"hall","area":"north","metric":"temperature","channel":null,"value":21.5,"unit":"°C","quality":"good","ts":%d,"topic":"home/north/hall/temperature"}] `+
				`Reading[{"device":"hall","area":"north","metric":"temperature","channel":null,"value":null,"unit":"°C","quality":"bad","ts":%d,"topic":"home/north/hall/temperature"}]`, ts, ts),
			"area:unassigned": fmt.Sprintf(`Reading[{"device":"lone","area":"unassigned","metric":"noise","channel":null,"value":60,"unit":"dB","quality":"good","ts":%d,"topic":"tacet/device/lone/tele/noise"}]`, ts),
		} {
			if got := events(w.hub.of(group, eventReading)); got != want {
				t.Errorf("%s\n got %s\nwant %s", group, got, want)
			}
		}
		if n := len(w.hub.of(All, eventReading)); n != 4 {
			t.Errorf("watchers of all got %d readings, want 4", n)
		}
		if s := w.pump.Stats(); s.Messages != 4 || s.Readings != 4 || s.Faults["text"] != 1 {
			t.Errorf("%+v", s)
		}
		if d, ok := w.view.Device("hall"); !ok || d.Presence != area.Online {
			t.Errorf("hall: %+v", d)
		}
		if d, ok := w.view.Device("yard"); !ok || d.Presence != area.PresenceUnknown || d.LastSeen != nil {
			t.Errorf("yard: %+v", d)
		}
		w.close()
	})
}

func TestMappedGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus()
		must(t, b.Publish(t.Context(), area.Message{Topic: "plant/1/alarm", Payload: []byte(`{"on":true}`), Retain: true}))
		w := newWorld(t, b, mapping.Rule{Topic: "plant/{line}/alarm", Group: "alarms", Event: "Alarm"})
		w.publish(t, "plant/2/alarm", "fire")
		w.publish(t, "plant/3/alarm", "\xff")
		synctest.Wait()
		want := `Alarm[{"topic":"plant/1/alarm","payload":{"on":true},"retained":true,"captures":{"line":"1"}}] ` +
			`Alarm[{"topic":"plant/2/alarm","payload":"fire","retained":false,"captures":{"line":"2"}}] ` +
			`Alarm[{"topic":"plant/3/alarm","payload":{"base64":"/w=="},"retained":false,"captures":{"line":"3"}}]`
		if got := events(w.hub.of("alarms", "")); got != want {
			t.Errorf(" got %s\nwant %s", got, want)
		}
		w.close()
	})
}

func TestGroupMirror(t *testing.T) {
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	for name, c := range map[string]struct{ topic, payload, group, want string }{
		"array":             {"tacet/group/g/E", `[1,"two",{"x":3}]`, "g", `E[1,"two",{"x":3}]`},
		"no argument":       {"tacet/group/g/E", `[]`, "g", `E[]`},
		"object":            {"tacet/group/g/E", `{"x":1}`, "g", `E[{"x":1}]`},
		"null":              {"tacet/group/g/E", `null`, "g", `E[null]`},
		"text":              {"tacet/group/g/E", `hello`, "g", `E["hello"]`},
		"nothing":           {"tacet/group/g/E", ``, "g", `E[""]`},
		"bytes":             {"tacet/group/g/E", "\xff\x00", "g", `E["` + base64.StdEncoding.EncodeToString([]byte("\xff\x00")) + `"]`},
		"JSON of bad bytes": {"tacet/group/g/E", "[\"\xff\"]", "g", `E["` + base64.StdEncoding.EncodeToString([]byte("[\"\xff\"]")) + `"]`},
		"too deep":          {"tacet/group/g/E", deep, "g", `E["` + deep + `"]`},
		"an area":           {"tacet/group/area:north/E", "1", "area:north", `E[1]`},
		"no area":           {"tacet/group/area:nowhere/E", "1", "area:nowhere", ``},
		"the hub's own":     {"tacet/group/user:ann/E", "1", "user:ann", ``},
		"all":               {"tacet/group/area:*/E", "1", All, ``},
		"no event":          {"tacet/group/g", "1", "g", ``},
		"long event":        {"tacet/group/g/" + strings.Repeat("E", 129), "1", "g", ``},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, newBus())
			synctest.Wait()
			w.publish(t, c.topic, c.payload)
			synctest.Wait()
			var got []sent
			for _, s := range w.hub.of(c.group, "") {
				if s.event != eventArea && s.event != eventTopic {
					got = append(got, s)
				}
			}
			if events(got) != c.want {
				t.Errorf("%s: got %s, want %s", name, events(got), c.want)
			}
			w.close()
		})
	}
}

func TestGroupMirrorIsExactlyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus()
		w := newWorld(t, b)
		synctest.Wait()
		w.publish(t, "tacet/group/g/FromTopic", "[1]")
		for i := range 100 {
			w.pump.GroupSent(area.FromHub+":c1", "g", "FromHub", fmt.Appendf(nil, "[%d]", i))
		}
		w.pump.GroupSent(area.FromHub+":c1", "g", "no/event", []byte("[1]"))
		synctest.Wait()
		if got := events(w.hub.of("g", "")); got != "FromTopic[1]" {
			t.Errorf("the group got %s", got)
		}
		all := b.published()[1:]
		for i, m := range all {
			if m.Topic != "tacet/group/g/FromHub" || string(m.Payload) != fmt.Sprintf("[%d]", i) || m.From != area.FromHub+":c1" || m.Retain {
				t.Errorf("message %d: %+v", i, m)
			}
		}
		if s := w.pump.Stats(); len(all) != 100 || s.Mirrored != 1 || s.MirrorRefused != 1 {
			t.Errorf("the topic got %d, %+v", len(all), s)
		}
		w.close()
	})
}

func TestTopicsAreSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newBus())
		synctest.Wait()
		const n = 3000 // over three seconds
		for i := range n {
			w.publish(t, fmt.Sprintf("x/%d", i%7), fmt.Sprint(i))
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		got := w.hub.of(GroupTopics, eventTopic)
		for i := range got {
			if i >= 20 && got[i].at.Sub(got[i-20].at) <= time.Second {
				t.Errorf("21 topics in %v", got[i].at.Sub(got[i-20].at))
			}
		}
		if len(got) < 57 || int(w.pump.Stats().SampledOut) != n-len(got) {
			t.Errorf("%d sent, %d sampled out of %d", len(got), w.pump.Stats().SampledOut, n)
		}
		last := map[string]string{}
		for _, s := range got {
			var v []area.TopicValue
			must(t, json.Unmarshal([]byte(s.args), &v))
			last[v[0].Topic] = string(v[0].Payload)
		}
		for i := n - 7; i < n; i++ {
			if topic := fmt.Sprintf("x/%d", i%7); last[topic] != fmt.Sprint(i) {
				t.Errorf("last of %s was %s, want %d", topic, last[topic], i)
			}
		}
		w.close()
	})
}

func TestTopicsOfAnArea(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newBus())
		synctest.Wait()
		w.publish(t, "tacet/area/north/busy/set/x", "1")
		w.publish(t, "other", "1")
		synctest.Wait()
		want := fmt.Sprintf(`Topic[{"topic":"tacet/area/north/busy/set/x","payload":1,"retained":false,"qos":0,"ts":%d}]`, time.Now().UnixMilli())
		for _, group := range []string{"area:north", All} {
			if got := events(w.hub.of(group, eventTopic)); got != want {
				t.Errorf("%s: got %s, want %s", group, got, want)
			}
		}
		w.close()
	})
}

func TestTopicList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus()
		must(t, b.Publish(t.Context(), area.Message{Topic: "a/kept", Payload: []byte("1"), QoS: 1, Retain: true}))
		w := newWorld(t, b)
		synctest.Wait()
		w.publish(t, "a/live", "text")
		w.publish(t, "b/other", "1")
		synctest.Wait()
		items, _, err := w.pump.Topics(t.Context(), "a/#")
		must(t, err)
		got, _ := json.Marshal(items)
		want := fmt.Sprintf(`[{"topic":"a/kept","payload":1,"retained":true,"qos":1,"ts":0},{"topic":"a/live","payload":"text","retained":false,"qos":0,"ts":%d}]`, time.Now().UnixMilli())
		if string(got) != want {
			t.Errorf(" got %s\nwant %s", got, want)
		}
		if _, _, err := w.pump.Topics(t.Context(), "a/#/b"); area.CodeOf(err) != area.CodeInvalid {
			t.Errorf("a bad filter: %v", err)
		}
		w.close()
	})
}

func TestTopicListIsBounded(t *testing.T) {
	l := newTopics(3, 100)
	put := func(topic, payload string, retain bool) {
		l.put(sampled{Message: area.Message{Topic: topic, Payload: []byte(payload), Retain: retain}})
	}
	names := func() (s string) {
		for _, v := range l.list("#", nil) {
			s += v.Topic
		}
		return s
	}
	for _, c := range []struct{ topic, payload, want string }{
		{"a", "1", "a"}, {"b", "1", "ab"}, {"c", "1", "abc"}, {"a", "2", "abc"}, {"d", "1", "acd"}, {"e", strings.Repeat("x", 97), "de"}, {"f", strings.Repeat("x", 500), "f"},
	} {
		if put(c.topic, c.payload, false); names() != c.want {
			t.Errorf("after %s: %s, want %s", c.topic, names(), c.want)
		}
	}
	if put("f", "", true); names() != "" || l.bytes != 0 || l.evicted.Load() != 5 {
		t.Errorf("%q, %d bytes, %d evicted", names(), l.bytes, l.evicted.Load())
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Config{Inbox: -1}, Parts{}, nil); err == nil {
		t.Error("a negative bound is taken")
	}
	if _, err := New(Config{}, Parts{}, nil); err == nil {
		t.Error("a missing part is taken")
	}
	if _, err := NewView(ViewConfig{Settle: -1}, ViewParts{}, nil); err == nil {
		t.Error("a negative bound is taken")
	}
}

func BenchmarkHandle(b *testing.B) {
	table, _ := mapping.Compile(nil)
	p, err := New(Config{}, Parts{Bus: newBus(), Hub: nobody{}, Mappings: table, Readings: nobody{}, Areas: newSite(), Now: time.Now}, quietLog())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		p.handle(area.Message{Topic: "home/north/hall/temperature", Payload: []byte("21.5")})
		p.sendSample()
	}
}

// nobody takes everything and keeps nothing.
type nobody struct{}

func (nobody) Send(string, string, ...any)               {}
func (nobody) Flush()                                    {}
func (nobody) Present(mapping.Presence, string, bool)    {}
func (nobody) See(mapping.Sight, string, string)         {}
func (nobody) Heard(area.DeviceID)                       {}
func (nobody) Forget(area.DeviceID)                      {}
func (nobody) Disown(string, []area.DeviceID)            {}
func (nobody) AreaOf(area.DeviceID) area.Name            { return area.Unassigned }
func (nobody) SendLatest(string, string, string, ...any) {}
func (nobody) Put(v mapping.Value, topic string, _ bool) (area.Reading, bool) {
	return area.Reading{Device: v.Device, Topic: topic}, true
}

func BenchmarkHandleGroup(b *testing.B) {
	table, _ := mapping.Compile(nil)
	p, err := New(Config{}, Parts{Bus: newBus(), Hub: nobody{}, Mappings: table, Readings: nobody{}, Areas: newSite(), Now: time.Now}, quietLog())
	if err != nil {
		b.Fatal(err)
	}
	payload := []byte(strings.Repeat("x", 128))
	b.ReportAllocs()
	for b.Loop() {
		p.handle(area.Message{Topic: "tacet/group/bench/m", Payload: payload, From: "c"})
		p.sendSample()
	}
}
