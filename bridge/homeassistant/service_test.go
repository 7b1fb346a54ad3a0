package homeassistant

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/order"
)

// wire is a broker: what is retained, and what was published.
type wire struct {
	mu       sync.Mutex
	retained map[string]string
	count    map[string]int
	at       []time.Time
	subs     map[string]func(area.Message)
}

func newWire() *wire {
	return &wire{retained: map[string]string{}, count: map[string]int{}, subs: map[string]func(area.Message){}}
}

func (w *wire) Publish(_ context.Context, batch ...area.Message) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range batch {
		if !m.Retain || m.QoS != 1 || m.From != area.FromHub {
			panic(fmt.Sprintf("%+v", m))
		}
		w.count[m.Topic]++
		w.at = append(w.at, time.Now())
		if w.retained[m.Topic] = string(m.Payload); len(m.Payload) == 0 {
			delete(w.retained, m.Topic)
		}
	}
	return nil
}

func (w *wire) Subscribe(filter string, enqueue func(area.Message)) (func(), error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.subs[filter] = enqueue
	return func() {}, nil
}

func (w *wire) Retained(filter string, _ int) (list []area.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for t, p := range w.retained {
		if area.MatchFilter(filter, t) {
			list = append(list, area.Message{Topic: t, Payload: []byte(p)})
		}
	}
	return list
}

// say is a message of somebody's.
func (w *wire) say(topic, payload, from string) {
	w.mu.Lock()
	var subs []func(area.Message)
	for f, s := range w.subs {
		if area.MatchFilter(f, topic) {
			subs = append(subs, s)
		}
	}
	w.mu.Unlock()
	for _, s := range subs {
		s(area.Message{Topic: topic, Payload: []byte(payload), From: from})
	}
	synctest.Wait()
}

func (w *wire) is(topic string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.retained[topic]
}

// world is a site, its orders and its chimes.
type world struct {
	mu      sync.Mutex
	areas   []area.Area
	players []area.Device
	ordered func(area.Order)
	did     []string
	changed func()
}

func (w *world) change(f func()) {
	w.mu.Lock()
	f()
	w.mu.Unlock()
	w.changed()
	time.Sleep(time.Second) // of the bubble
	synctest.Wait()
}

func (w *world) Areas() []area.Area {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.areas)
}

func (w *world) Players() []area.Device {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.players)
}

func (w *world) Watch(changed func()) func() { w.changed = changed; return func() {} }

// desk is the world's orders.
type desk struct{ *world }

func (d desk) Announce(_ context.Context, r area.OrderRequest, by order.By) error {
	if err := by.May("north"); err != nil {
		return err
	}
	b, _ := json.Marshal(r)
	d.note("announce " + by.Who + " " + string(b))
	return nil
}

func (d desk) Cancel(_ context.Context, id area.WorkID) error {
	d.note("cancel " + string(id))
	return nil
}

func (d desk) StopArea(_ context.Context, a area.Name) error {
	d.note("stop " + string(a))
	return nil
}

func (d desk) Watch(ordered func(area.Order)) func() { d.ordered = ordered; return func() {} }

func (w *world) note(s string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.did = append(w.did, s)
}

type tones struct{}

func (tones) Names() []string { return []string{"two-tone", "gong"} }

func (tones) Length(name string) time.Duration {
	return map[string]time.Duration{"two-tone": time.Second, "gong": 2 * time.Second}[name]
}

func (tones) Clip(_ context.Context, name string) (string, error) { return "sha256:" + name, nil }

func ptr[T any](v T) *T { return &v }

func newWorld() *world {
	return &world{
		areas: []area.Area{{ID: "north-pier", Name: "North Pier", Queue: []area.Queued{}}},
		players: []area.Device{{ID: "gate-a12", Name: "Gate A12", Kind: "player", Via: area.ViaMQTT, Area: "north-pier", Presence: area.Online, State: ptr("idle"),
			Volume: ptr(70), LastSeen: ptr(area.At(time.Date(2026, 11, 21, 12, 0, 34, 0, time.UTC)))}},
	}
}

// running runs a service until the test ends or stop is called.
func running(t *testing.T, w *wire, site *world) (s *Service, stop func()) {
	t.Helper()
	people := map[string]auth.Principal{
		"ha":     {Name: "ha", Kind: auth.KindUser, Tenant: auth.DefaultTenant, Roles: []string{auth.RoleOperator}, Areas: []string{"*"}},
		"viewer": {Name: "viewer", Kind: auth.KindUser, Tenant: auth.DefaultTenant, Roles: []string{auth.RoleViewer}, Areas: []string{"*"}},
	}
	s, err := New(Config{Version: "v1"}, Parts{Bus: w, Site: site, Orders: desk{site}, Chimes: tones{},
		Who: func(m area.Message) (auth.Principal, bool) { p, ok := people[m.From]; return p, ok }}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	time.Sleep(time.Second)
	synctest.Wait()
	return s, stop
}

const deviceDoc, areaDoc = "homeassistant/device/tacet_device_gate-a12/config", "homeassistant/device/tacet_area_north-pier/config"

// document is what Home Assistant reads of one.
type document struct {
	Dev struct {
		IDs  []string
		Name string
		SA   string
	}
	O     struct{ Name string }
	AvtyT string `json:"avty_t"`
	Cmps  map[string]map[string]any
}

// TestWhatIsShown is p01 and p04 of the sensor vectors.
func TestWhatIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		running(t, w, newWorld())
		var d, a document
		if err := json.Unmarshal([]byte(w.is(deviceDoc)), &d); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(w.is(areaDoc)), &a); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(d.Dev) != "{[tacet_device_gate-a12] Gate A12 North Pier}" || d.O.Name != "Tacet" || w.is(d.AvtyT) != "online" {
			t.Errorf("%+v, available %q", d, w.is(d.AvtyT))
		}
		if fmt.Sprint(a.Dev) != "{[tacet_area_north-pier] North Pier North Pier}" || w.is(a.AvtyT) != "online" {
			t.Errorf("%+v", a)
		}
		kinds := func(d document) string {
			var all []string
			seen := map[any]bool{}
			for key, c := range d.Cmps {
				all = append(all, fmt.Sprint(c["p"], ":", key))
				if c["unique_id"] == nil || seen[c["unique_id"]] {
					t.Errorf("%s has unique_id %v", key, c["unique_id"])
				}
				seen[c["unique_id"]] = true
				topic, _ := c["state_topic"].(string)
				if topic != "" && w.is(topic) == "" && !strings.HasSuffix(topic, "/flag") {
					t.Errorf("%s: nothing is on %s", key, topic)
				}
			}
			slices.Sort(all)
			return strings.Join(all, " ")
		}
		if got := kinds(d); got != "binary_sensor:busy binary_sensor:connected button:stop button:test notify:announce number:volume sensor:queue sensor:saying sensor:seen siren:chime" {
			t.Errorf("of the device: %s", got)
		}
		if got := kinds(a); got != "binary_sensor:busy button:stop notify:announce sensor:queue siren:chime" {
			t.Errorf("of the area: %s", got)
		}
		if got := fmt.Sprint(d.Cmps["chime"]["available_tones"], d.Cmps["volume"]["min"], d.Cmps["volume"]["max"]); got != "[two-tone gong] 0 100" {
			t.Errorf("%s", got)
		}
		for what, want := range map[[2]string]any{
			{"busy", "device_class"}: "sound", {"connected", "device_class"}: "connectivity", {"seen", "device_class"}: "timestamp", {"volume", "unit_of_measurement"}: "%",
			{"volume", "command_topic"}: "tacet/device/gate-a12/cmd/volume", {"announce", "command_topic"}: "tacet/device/gate-a12/cmd/announce",
			{"chime", "support_duration"}: true, {"chime", "support_volume_set"}: true, {"stop", "payload_press"}: "PRESS", {"test", "payload_press"}: "PRESS",
		} {
			if got := d.Cmps[what[0]][what[1]]; got != want {
				t.Errorf("%s of %s is %v, want %v", what[1], what[0], got, want)
			}
		}
		for topic, want := range map[string]string{
			"device/gate-a12/busy": "OFF", "device/gate-a12/connected": "ON", "device/gate-a12/queue": "0", "device/gate-a12/announcing": "-",
			"device/gate-a12/seen": "2026-11-21T12:00:00Z", "device/gate-a12/volume": "70", "area/north-pier/queue": "0", "hub": "online",
		} {
			if got := w.is("tacet/ha/" + topic); got != want {
				t.Errorf("%s is %q, want %q", topic, got, want)
			}
		}
	})
}

func TestChangesAreShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, site := newWire(), newWorld()
		s, stop := running(t, w, site)
		docs := w.count[deviceDoc]
		site.change(func() {
			site.players[0].State = ptr("playing")
			site.ordered(area.Order{ID: "o-1", State: area.OrderPlaying, Device: ptr(area.DeviceID("gate-a12")), Message: ptr("Boarding")})
			site.ordered(area.Order{ID: "o-0", State: area.OrderPlaying, Device: ptr(area.DeviceID("gate-a12")), Message: ptr("Before")})
			site.ordered(area.Order{ID: "o-0", State: area.OrderPlayed})
			site.areas[0].Queue = []area.Queued{{Order: "o-2", Device: ptr(area.DeviceID("gate-a12")), State: area.OrderWaiting}, {Order: "o-3"}}
		})
		for topic, want := range map[string]string{"device/gate-a12/busy": "ON", "device/gate-a12/queue": "1", "device/gate-a12/announcing": "Boarding", "area/north-pier/queue": "2"} {
			if got := w.is("tacet/ha/" + topic); got != want {
				t.Errorf("%s is %q, want %q", topic, got, want)
			}
		}
		if w.count[deviceDoc] != docs || w.count["tacet/ha/device/gate-a12/volume"] != 1 {
			t.Errorf("what has not changed was published again: %v", w.count)
		}
		site.change(func() { site.players[0].Presence, site.areas[0].Name = area.Offline, "Pier" })
		if w.is("tacet/ha/device/gate-a12/presence") != "offline" || !strings.Contains(w.is(deviceDoc), `"sa":"Pier"`) {
			t.Errorf("%s %s", w.is("tacet/ha/device/gate-a12/presence"), w.is(deviceDoc))
		}
		// p03: a device that is removed leaves nothing.
		site.change(func() { site.players = nil })
		for topic := range w.retained {
			if strings.Contains(topic, "gate-a12") {
				t.Errorf("%s is left", topic)
			}
		}
		if s.Stats().Removed != 7+1 {
			t.Errorf("%+v", s.Stats())
		}
		stop()
		if w.is("tacet/ha/hub") != "offline" {
			t.Error("the hub does not say that it is gone")
		}
	})
}

// TestWhatWasLeftIsCleared: what went while the hub was down.
func TestWhatWasLeftIsCleared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		_, stop := running(t, w, newWorld())
		stop()
		before := maps.Clone(w.count)
		w.retained["homeassistant/device/else/config"] = "{}"
		site := newWorld()
		site.players = nil
		running(t, w, site)
		for topic := range w.retained {
			if strings.Contains(topic, "gate-a12") {
				t.Errorf("%s is left", topic)
			}
		}
		if w.is("homeassistant/device/else/config") != "{}" || w.count[areaDoc] != before[areaDoc] {
			t.Error("what is another's, or as it was, was touched")
		}
	})
}

// TestBirth is p02: everything again, spread over a few seconds.
func TestBirth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, site := newWire(), newWorld()
		for i := range 30 {
			site.players = append(site.players, area.Device{ID: area.DeviceID(fmt.Sprint("d", i)), Area: "north-pier", Via: area.ViaClassic, Presence: area.Online})
		}
		s, _ := running(t, w, site)
		w.mu.Lock()
		clear(w.count)
		w.at = nil
		topics := len(w.retained)
		w.mu.Unlock()
		began := time.Now()
		w.say("homeassistant/status", "offline", "ha")
		w.say("homeassistant/status", "online", "ha")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.count) != topics || len(w.at) != topics {
			t.Errorf("%d of %d topics, %d messages", len(w.count), topics, len(w.at))
		}
		if d := w.at[len(w.at)-1].Sub(began); d < 2*time.Second || d > 5*time.Second {
			t.Errorf("spread over %v", d)
		}
		if s.Stats().Births != 1 {
			t.Errorf("%+v", s.Stats())
		}
	})
}

func TestCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, site := newWire(), newWorld()
		site.areas[0].Queue = []area.Queued{{Order: "o-2", Device: ptr(area.DeviceID("gate-b1"))}}
		s, _ := running(t, w, site)
		site.ordered(area.Order{ID: "o-1", State: area.OrderPlaying, Area: "north-pier", Device: ptr(area.DeviceID("gate-a12"))})
		site.ordered(area.Order{ID: "o-3", State: area.OrderPlaying, Area: "north-pier", Device: ptr(area.DeviceID("gate-b1"))})
		device, hall := `"to":{"device":"gate-a12"}`, `"to":{"area":"north-pier"}`
		for _, c := range []struct{ topic, payload, from, want string }{
			{"device/gate-a12/cmd/announce", "Gate closes", "ha", `announce ha {` + device + `,"message":"Gate closes"}`},
			{"area/north-pier/cmd/announce", `{"message":"Hello"}`, "ha", `announce ha {` + hall + `,"message":"Hello"}`},
			{"device/gate-a12/cmd/chime", `{"state":"ON","tone":"gong","duration":9,"volume_level":0.5}`, "ha", `announce ha {` + device + `,"kind":"play","clip":"sha256:gong","volume":50,"repeat":5}`},
			{"device/gate-a12/cmd/chime", "ON", "ha", `announce ha {` + device + `,"kind":"play","clip":"sha256:two-tone","repeat":1}`},
			{"area/north-pier/cmd/chime", "gong", "ha", `announce ha {` + hall + `,"kind":"play","clip":"sha256:gong","repeat":1}`},
			{"device/gate-a12/cmd/test", "PRESS", "ha", `announce ha {` + device + `,"kind":"play","clip":"sha256:two-tone","repeat":1}`},
			{"device/gate-a12/cmd/stop", "PRESS", "ha", "cancel o-1"},
			{"device/gate-a12/cmd/chime", `{"state":"OFF"}`, "ha", "cancel o-1"},
			{"area/north-pier/cmd/stop", "PRESS", "ha", "stop north-pier"},
			{"area/north-pier/cmd/stop", "PRESS", "viewer", ""},
			{"device/gate-a12/cmd/stop", "PRESS", "viewer", ""},
			{"device/gate-a12/cmd/announce", "x", "viewer", ""},
			{"device/gate-a12/cmd/announce", "x", "stranger", ""},
			{"device/gate-a12/cmd/announce", " ", "ha", ""},
			{"device/gate-a12/cmd/announce", "\xff", "ha", ""},
			{"device/gate-a12/cmd/chime", "kazoo", "ha", ""},
			{"device/gate-a12/cmd/chime", `{"state":"ON","volume_level":2}`, "ha", ""},
			{"device/gate-a12/cmd/chime", `{"state":"MAYBE"}`, "ha", ""},
			{"device/gate-a12/cmd/chime", `{"state":`, "ha", ""},
		} {
			before := s.Stats()
			w.say("tacet/"+c.topic, c.payload, c.from)
			site.mu.Lock()
			got := strings.Join(site.did, "; ")
			site.did = nil
			site.mu.Unlock()
			if got != c.want {
				t.Errorf("%s %s: did %q, want %q", c.topic, c.payload, got, c.want)
			}
			if after := s.Stats(); (c.want == "") != (after.Refused == before.Refused+1) || (c.want != "") != (after.Commands == before.Commands+1) {
				t.Errorf("%s %s: %+v", c.topic, c.payload, after)
			}
		}
		before := s.Stats()
		for _, topic := range []string{"tacet/device/gate-a12/cmd/volume", "tacet/device/gate-a12/cmd/reboot", "tacet/area/x y/cmd/stop"} {
			w.say(topic, "1", "ha")
		}
		if s.Stats() != before {
			t.Errorf("what is the device's own was taken: %+v", s.Stats())
		}
	})
}

// TestRingLasts: a siren's duration is made of whole tones, within the bound.
func TestRingLasts(t *testing.T) {
	for duration, want := range map[string]int{"0": 1, "0.4": 1, "3": 2, "4": 2, "1e9": order.MaxRepeat, "-1": 1} {
		r, err := parseRing([]byte(`{"tone":"gong","duration":`+duration+`}`), tones{}.Length, order.MaxRepeat)
		if err != nil || r.repeat != want {
			t.Errorf("%s s: %d times, %v; want %d", duration, r.repeat, err, want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Config{}, Parts{}, nil); err == nil {
		t.Error("parts are missing")
	}
	w := newWorld()
	for _, p := range []string{"a/#", "$SYS", "@acme", "+"} {
		if _, err := New(Config{Prefix: p}, Parts{Bus: newWire(), Site: w, Orders: desk{w}, Chimes: tones{}, Who: func(area.Message) (auth.Principal, bool) { return auth.Principal{}, false }}, nil); err == nil {
			t.Errorf("prefix %s is taken", p)
		}
	}
}

func FuzzParseRing(f *testing.F) {
	for _, s := range []string{"ON", `{"state":"ON","tone":"gong","duration":10,"volume_level":0.5}`, "{", `{"duration":1e308}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRing(b, tones{}.Length, order.MaxRepeat)
		if err == nil && r.on && (r.repeat < 1 || r.repeat > order.MaxRepeat || r.volume != nil && (*r.volume < 0 || *r.volume > 100)) {
			t.Errorf("%q: %+v", b, r)
		}
	})
}
