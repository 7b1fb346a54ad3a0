package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/census"
	"github.com/tacet-hub/tacet/bridge/history"
	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/bridge/registry"
	"github.com/tacet-hub/tacet/bridge/rollout"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/clip"
	"github.com/tacet-hub/tacet/broker/order"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func ptr[T any](v T) *T { return &v }

// site is areas, devices, readings, schedules, groups and topics in memory.
type site struct {
	asked     time.Time // to of the newest course
	missing   []string  // nodes, of every course and of topics
	mu        sync.Mutex
	areas     map[area.Name]area.Area
	devices   map[area.DeviceID]area.Device
	schedules map[string]area.Schedule
	mappings  map[string]mapping.Entry
	kept      map[string]area.Message
	published []area.Message
	needed    map[clip.Sum]bool // clips
	fail      error
}

func newSite() *site {
	s := &site{areas: map[area.Name]area.Area{}, devices: map[area.DeviceID]area.Device{}, schedules: map[string]area.Schedule{}, mappings: map[string]mapping.Entry{}, kept: map[string]area.Message{}}
	s.areas["north"] = area.Area{ID: "north", Name: "North Wing", Source: area.SourceConfig, Mode: "available", Topology: "direct", LeaseMs: 6000, Policy: "stop", Volume: 70,
		QuietHours: []string{}, Locations: []area.Location{{ID: "1", Name: "Gate 1", Device: ptr(area.DeviceID("gate-1"))}}, Members: []area.DeviceID{"gate-1"},
		Busy: area.IdleBusy("north", 1, 1, 6*time.Second).Encode(), Queue: []area.Queued{},
		Leader: &area.Lead{Mode: area.LeaderLocal, Host: "gate-1", Addr: "10.0.0.5:1883", Term: 80, Since: ptr(area.At(noon)), Live: true, Owes: 2, Split: &area.Split{At: area.At(noon), Over: ptr(area.At(noon)), Leader: "gate-1", Term: 80, Own: 128}},
		Peers:  &area.Peering{Rev: 12, Members: []area.PeerMember{{Device: "gate-1", Index: 16, Told: true, Rev: 12, Leads: true, Follows: "leader", Who: "gate-1", Hub: true}, {Device: "gate-2", Index: 17}}}}
	s.devices["gate-1"] = area.Device{ID: "gate-1", Kind: "player", Via: area.ViaMQTT, Area: "north", Presence: area.Online, State: ptr("idle"), Readings: []area.Reading{}}
	s.devices["hall/α β%"] = area.Device{ID: "hall/α β%", Kind: "sensor", Via: area.ViaMQTT, Area: area.Unassigned, Presence: area.PresenceUnknown, Readings: []area.Reading{s.reading()}}
	s.kept["home/north/hall/temperature"] = area.Message{Topic: "home/north/hall/temperature", Payload: []byte("21.5"), Retain: true}
	s.kept["tacet/area/north/busy"] = area.Message{Topic: "tacet/area/north/busy", Payload: []byte("{}"), Retain: true}
	return s
}

func (s *site) reading() area.Reading {
	return area.Reading{Device: "hall/α β%", Area: area.Unassigned, Metric: "temperature", Value: 21.5, Unit: ptr("°C"), Quality: area.Good, TS: 1795255200000, Topic: "home/x"}
}

func values[K cmp.Ordered, V any](m map[K]V) (all []V) {
	for _, v := range m {
		all = append(all, v)
	}
	return all
}

func (s *site) Areas() []area.Area {
	s.mu.Lock()
	defer s.mu.Unlock()
	return values(s.areas)
}

func (s *site) Area(a area.Name) (area.Area, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.areas[a]
	return x, ok
}

func (s *site) CreateArea(_ context.Context, n NewArea) (area.Area, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.areas[n.ID]; ok {
		return area.Area{}, area.Errorf(area.CodeExists, "area %s exists", n.ID)
	}
	x := s.areas["north"]
	x.ID, x.Name, x.Source, x.Locations = n.ID, n.Name, area.SourceAPI, []area.Location{}
	s.areas[n.ID] = x
	return x, nil
}

func (s *site) UpdateArea(_ context.Context, n NewArea) (area.Area, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.areas[n.ID]
	if !ok {
		return x, area.Errorf(area.CodeNotFound, "no area %s", n.ID)
	}
	x.Name, x.Volume, x.Locations = n.Name, 70, []area.Location{}
	if n.Volume != nil {
		x.Volume = *n.Volume
	}
	for _, l := range n.Locations {
		x.Locations = append(x.Locations, area.Location{ID: l.ID, Name: l.Name})
	}
	s.areas[n.ID] = x
	return x, nil
}

func (s *site) RemoveArea(_ context.Context, a area.Name) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.areas[a].Source == area.SourceConfig {
		return area.Errorf(area.CodeConfigured, "the file has area %s", a)
	}
	delete(s.areas, a)
	return nil
}

func (s *site) Devices() []area.Device {
	s.mu.Lock()
	defer s.mu.Unlock()
	return values(s.devices)
}

func (s *site) Device(d area.DeviceID) (area.Device, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.devices[d]
	return x, ok
}

func (s *site) Remove(_ context.Context, d area.DeviceID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.devices[d].Presence == area.Online {
		return area.Errorf(area.CodeConflict, "device %s is online", d)
	}
	delete(s.devices, d)
	return nil
}

func (s *site) Assign(_ context.Context, d area.DeviceID, as registry.Assignment) (area.Device, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.devices[d]
	if !ok {
		x = area.Device{ID: d, Kind: "sensor", Via: area.ViaMQTT, Presence: area.PresenceUnknown}
	}
	if as.Area != nil {
		if _, ok := s.areas[*as.Area]; !ok {
			return x, area.Errorf(area.CodeUnknownArea, "no area %s", *as.Area)
		}
		x.Area = *as.Area
	}
	x.Location = as.Location
	s.devices[d] = x
	return x, nil
}

func (s *site) Readings(f registry.Filter) []area.Reading {
	if f.Metric != nil && *f.Metric != "temperature" || f.Areas != nil && !slices.Contains(f.Areas, s.reading().Area) {
		return nil
	}
	return []area.Reading{s.reading()}
}

func (s *site) Courses(_ context.Context, c registry.Course) ([]registry.Series, []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = c.To
	return []registry.Series{{Device: "hall/α β%", Metric: "temperature", Unit: ptr("°C"), Points: []history.Point{{TS: c.From.UnixMilli(), Value: 21.25}}}}, s.missing
}

func (s *site) Mappings() []mapping.Entry { return values(s.mappings) }

func (s *site) Mapping(id string) (mapping.Entry, error) {
	if e, ok := s.mappings[id]; ok {
		return e, nil
	}
	return mapping.Entry{}, area.Errorf(area.CodeNotFound, "no mapping %s", id)
}

func (s *site) CreateMapping(ctx context.Context, e mapping.Entry) (mapping.Entry, error) {
	if _, ok := s.mappings[e.ID]; ok {
		return e, area.Errorf(area.CodeExists, "mapping %s exists", e.ID)
	}
	return s.ReplaceMapping(ctx, e)
}

func (s *site) ReplaceMapping(_ context.Context, e mapping.Entry) (mapping.Entry, error) {
	if s.mappings[e.ID].Source == area.SourceConfig {
		return e, area.Errorf(area.CodeConfigured, "mapping %s is the file's", e.ID)
	}
	if err := mapping.Check(e.Rule); err != nil {
		return e, area.InvalidField("topic", "%v", err)
	}
	s.mappings[e.ID] = e
	return e, nil
}

func (s *site) DeleteMapping(_ context.Context, id string) error { delete(s.mappings, id); return nil }

func (s *site) List() []area.Schedule { return values(s.schedules) }

func (s *site) Get(id string) (area.Schedule, error) {
	if x, ok := s.schedules[id]; ok {
		return x, nil
	}
	return area.Schedule{}, area.Errorf(area.CodeNotFound, "no schedule %s", id)
}

func (s *site) Create(ctx context.Context, n area.Schedule) (area.Schedule, error) {
	if _, ok := s.schedules[n.ID]; ok {
		return n, area.Errorf(area.CodeExists, "schedule %s exists", n.ID)
	}
	return s.Put(ctx, n)
}

func (s *site) Put(_ context.Context, n area.Schedule) (area.Schedule, error) {
	n.Source = area.SourceAPI
	s.schedules[n.ID] = n
	return n, nil
}

func (s *site) Delete(_ context.Context, id string) error { delete(s.schedules, id); return nil }

func (s *site) Next(id string, n int) ([]area.Time, error) {
	if _, err := s.Get(id); err != nil {
		return nil, err
	}
	return slices.Repeat([]area.Time{area.At(noon)}, n), nil
}

func (s *site) Retained(filter string, most int) (all []area.Message) {
	for _, m := range s.kept {
		if area.MatchFilter(filter, m.Topic) {
			all = append(all, m)
		}
	}
	return all
}

func (s *site) Topics(_ context.Context, filter string) (all []area.TopicValue, missing []string, err error) {
	for _, m := range s.Retained(filter, 0) {
		all = append(all, area.TopicValue{Topic: m.Topic, Payload: area.ShowPayload(m.Payload), Retained: true, QoS: m.QoS})
	}
	return all, s.missing, nil
}

func (s *site) Publish(_ context.Context, batch ...area.Message) error {
	s.published = append(s.published, batch...)
	return s.fail
}

func (s *site) Nodes() []census.Node {
	self := census.Report{Kind: census.KindHub, State: census.Ready, Version: "1.0", StartedAt: area.At(noon), HTTP: ptr("http://127.0.0.1:8080"), Areas: []area.Name{"north", "south"}, Backplane: census.Backplane{Mode: "redis", Connected: true}}
	gone := census.Report{Kind: census.KindHub, State: census.Gone, StartedAt: area.At(noon), Areas: []area.Name{}, Backplane: census.Backplane{Mode: "redis"}}
	return []census.Node{
		{Node: "hub-1", Self: true, Report: self, Since: area.At(noon), Starts: 1, HeardAt: ptr(area.At(noon)), LagMs: ptr(0.0)},
		{Node: "hub-2", Report: gone, Since: area.At(noon), Starts: 2, GoneAt: ptr(area.At(noon))},
	}
}

func (s *site) member() Member {
	return Member{ConnectionID: "c1", Node: "hub-1", Since: area.At(noon), Attributes: map[string]string{}}
}

func (s *site) Members(_ auth.Principal, g area.Group) ([]Member, error) {
	return []Member{s.member()}, nil
}

func (s *site) Presence(_ auth.Principal, scope string) ([]Member, error) {
	return []Member{s.member()}, nil
}

func (s *site) LastSeen(context.Context, auth.Principal) ([]Sighting, error) {
	user, device := "ann", area.DeviceID("gate-1")
	return []Sighting{{User: &user, At: area.At(noon), Node: "hub-1"}, {Device: &device, At: area.At(noon), Node: "hub-2"}}, nil
}

func (s *site) Close(_ context.Context, who auth.Principal, id string) error {
	if id != "c1" || who.Tenant != auth.DefaultTenant {
		return area.Errorf(area.CodeNotFound, "no connection %s", id)
	}
	return who.May(auth.Operate, "")
}

func (s *site) SetMember(ctx context.Context, who auth.Principal, g area.Group, id string, _ bool) error {
	if g.Reserved() {
		return area.Errorf(area.CodeForbidden, "group %s is the hub's", g)
	}
	return s.Close(ctx, who, id)
}

// receives refuses whom nobody may send to, and does not find whom there is not.
func (s *site) receives(who auth.Principal, to Receiver) error {
	switch {
	case area.Group(to.Group).Reserved():
		return area.Errorf(area.CodeForbidden, "group %s is the hub's", to.Group)
	case to.Connection != "" && to.Connection != "c1", to.Tenant != "" && to.Tenant != who.Tenant:
		return area.Errorf(area.CodeNotFound, "%v is not there", to)
	}
	return nil
}

func (s *site) Send(_ context.Context, who auth.Principal, to Receiver, event string, args []json.RawMessage) (int, error) {
	if event == "panic" {
		panic("on purpose")
	}
	return 3, s.receives(who, to)
}

func (s *site) InvokeAll(ctx context.Context, who auth.Principal, to Receiver, method string, args []json.RawMessage) ([]Reply, error) {
	until, _ := ctx.Deadline()
	left, _ := json.Marshal(time.Until(until).Round(time.Second).String())
	return []Reply{{ConnectionID: ptr("c1"), Result: left}, {ConnectionID: ptr("c2"), Error: "no answer in time"}, {Error: "node hub-2: away"}}, s.receives(who, to)
}

func (s *site) InvokeOne(_ context.Context, who auth.Principal, to Receiver, method string, args []json.RawMessage) (Reply, error) {
	if method == "Silent" {
		return Reply{}, area.Errorf(area.CodeNoAnswer, "no answer in time")
	}
	return Reply{ConnectionID: ptr("c1"), Result: json.RawMessage("null")}, s.receives(who, to)
}

// roster is what the order service asks; desk takes its works.
type roster struct{ *site }

func (r roster) Players() []area.Device { return r.Devices() }

func (r roster) Resolve(to area.To) (area.Name, area.LocationID, area.DeviceID, error) {
	switch {
	case to.Area != nil && *to.Area == "north":
		return "north", "", "", nil
	case to.Area != nil:
		return "", "", "", area.Errorf(area.CodeUnknownArea, "no area %s", *to.Area)
	case to.Location != nil:
		return "", "", "", area.Errorf(area.CodeUnknownLocation, "no location %s", *to.Location)
	}
	return "", "", "", area.Errorf(area.CodeUnknownDevice, "no device %s", *to.Device)
}

type desk struct{ orders *order.Service }

func (d *desk) Submit(context.Context, area.Work) error { return nil }

func (d *desk) Cancel(_ context.Context, id area.WorkID, reason string) error {
	d.orders.Report(area.Report{Work: id, State: area.OrderCancelled, Reason: reason})
	return nil
}

// world is an API over a site, with the real order service running, and real
// credentials.
type world struct {
	t    *testing.T
	api  *API
	site *site
	desk *desk
	spec *spec
	log  bytes.Buffer
	auth *auth.Authority

	clips    *clip.Store
	saver    saver
	rollouts shelf
	who      func(*http.Request) (auth.Principal, error) // nil: open mode
}

// newWorld is a world in open mode.
func newWorld(t *testing.T) *world { return newWorldOf(t, auth.Config{}) }

func newWorldOf(t *testing.T, cfg auth.Config) *world {
	t.Helper()
	w := &world{t: t, site: newSite(), desk: &desk{}, spec: readSpec(t)}
	log := slog.New(slog.NewTextHandler(&w.log, nil))
	var err error
	if w.auth, err = auth.New(cfg, nil, func() time.Time { return noon }, log); err != nil {
		t.Fatal(err)
	}
	if w.clips, err = clip.Open(clip.Config{Dir: t.TempDir(), MaxBytes: 1 << 10, MaxClip: 512, Meter: ruler{}, Needed: func() map[clip.Sum]bool { return w.site.needed }}); err != nil {
		t.Fatal(err)
	}
	if w.rollouts.Service, err = rollout.New(rollout.Parts{Bus: deaf{}, Devices: w.site, Retained: deaf{}, Table: nowhere{}, Now: func() time.Time { return noon }}, log); err != nil {
		t.Fatal(err)
	}
	orders, err := order.New(order.Config{MaxLive: 50}, order.NewMemory(0), roster{w.site}, w.desk, order.Speech{}, time.Now, log)
	if err != nil {
		t.Fatal(err)
	}
	w.desk.orders = orders
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- orders.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	who := func(r *http.Request) (auth.Principal, error) {
		if w.who == nil {
			return auth.Anonymous(), nil
		}
		return w.who(r)
	}
	w.api, err = New(Config{Now: func() time.Time { return noon }, Who: who}, Resources{Areas: w.site, Devices: w.site, Orders: orders, Schedules: w.site, Readings: w.site, Mappings: w.site, Topics: w.site, Groups: w.site, Credentials: w.auth, Clips: w.clips, Rollouts: w.rollouts, Proofs: w.site, Keys: keys{}, Nodes: w.site, Backups: &w.saver}, log)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// do sends a request, headers given as "Key: value", and holds the answer
// against the contract.
func (w *world) do(method, path, body string, headers ...string) (*http.Response, string) {
	w.t.Helper()
	r := httptest.NewRequest(method, Prefix+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		r.Header.Set(k, v)
	}
	rec := httptest.NewRecorder()
	w.api.ServeHTTP(rec, r)
	res := rec.Result()
	out, _ := io.ReadAll(res.Body)
	if fault := w.spec.check(method, r.Pattern, res, out); fault != "" {
		w.t.Errorf("%s %s: %d %s: %s", method, path, res.StatusCode, fault, out)
	}
	if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("X-Request-Id") == "" {
		w.t.Errorf("%s %s: headers %v", method, path, res.Header)
	}
	return res, string(out)
}

// want does a request and checks its status; for a refusal want is its code.
func (w *world) want(want any, method, path, body string, headers ...string) (*http.Response, string) {
	w.t.Helper()
	res, out := w.do(method, path, body, headers...)
	switch want := want.(type) {
	case int:
		if res.StatusCode != want {
			w.t.Errorf("%s %s %.100s: status %d, want %d: %s", method, path, body, res.StatusCode, want, out)
		}
	case area.Code:
		var p Problem
		_ = json.Unmarshal([]byte(out), &p)
		if p.Code != want || res.StatusCode != want.Status() || p.Status != res.StatusCode || p.Type != "urn:tacet:error:"+string(want) || p.Instance != res.Header.Get("X-Request-Id") || p.Title == "" {
			w.t.Errorf("%s %s %.100s: %d %s, want %s", method, path, body, res.StatusCode, out, want)
		}
	}
	return res, out
}

var errOurs = errors.New("a secret of the house")

// shelf is a real rollout service and a release.
type shelf struct{ *rollout.Service }

func (shelf) Releases(context.Context) []Release {
	return []Release{{Arch: "linux-arm64", Version: "v1.4.0", Bytes: 9 << 20, SHA256: strings.Repeat("0", 64), BuiltAt: area.At(noon)}}
}

// deaf is a bus on which nobody is.
type deaf struct{}

func (deaf) Publish(context.Context, ...area.Message) error { return nil }

func (deaf) Subscribe(string, func(area.Message)) (func(), error) { return func() {}, nil }

func (deaf) Retained(string, int) []area.Message { return nil }

// nowhere keeps nothing.
type nowhere struct{}

func (nowhere) Load(func(string, []byte) error) error { return nil }

func (nowhere) Put(context.Context, string, []byte) error { return nil }

func (nowhere) Delete(context.Context, string) error { return nil }

func (nowhere) PutIf(context.Context, string, []byte, []byte) ([]byte, bool, error) {
	return nil, true, nil
}

// keys are of all ones, and of all twos once they were made anew.
type keys struct{}

func (keys) Key(context.Context, area.Name) ([]byte, error) { return bytes.Repeat([]byte{1}, 32), nil }

func (keys) Rotate(context.Context, area.Name) ([]byte, error) {
	return bytes.Repeat([]byte{2}, 32), nil
}
