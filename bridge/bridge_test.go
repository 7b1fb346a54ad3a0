package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/history"
	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/bridge/registry"
	"github.com/tacet-hub/tacet/broker/area"
)

func quietLog() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// sent is one event that reached a group.
type sent struct {
	group, event, args string // args as JSON
	at                 time.Time
}

// watcher is a [Hub] that writes down what each group gets.
type watcher struct {
	mu  sync.Mutex
	all []sent
	got chan struct{} // has room for one signal

	before func(event string) // called by Send; set before anything is sent
}

func newWatcher() *watcher { return &watcher{got: make(chan struct{}, 1)} }

func (w *watcher) Send(group, event string, args ...any) {
	if args == nil {
		args = []any{}
	}
	b, err := json.Marshal(args)
	if err != nil {
		panic(err)
	}
	if w.before != nil {
		w.before(event)
	}
	w.mu.Lock()
	w.all = append(w.all, sent{group, event, string(b), time.Now()})
	w.mu.Unlock()
	select {
	case w.got <- struct{}{}:
	default:
	}
}

func (w *watcher) SendLatest(group, event, _ string, args ...any) { w.Send(group, event, args...) }

func (w *watcher) Flush() {}

// of lists what a group got of an event; an empty event is any.
func (w *watcher) of(group, event string) (list []sent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.all {
		if s.group == group && (event == "" || s.event == event) {
			list = append(list, s)
		}
	}
	return list
}

// await waits until the group has n of the event.
func (w *watcher) await(t *testing.T, group, event string, n int) {
	t.Helper()
	w.until(t, fmt.Sprintf("%d of %s to %s", n, event, group), func() bool { return len(w.of(group, event)) >= n })
}

// until waits until something is so that an event tells of.
func (w *watcher) until(t *testing.T, what string, so func() bool) {
	t.Helper()
	late := time.After(time.Minute)
	for !so() {
		select {
		case <-w.got:
		case <-late:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// bus is an [area.Bus] without a broker: everything happens on the publisher's
// goroutine.
type bus struct {
	mu       sync.Mutex
	subs     map[int]sub
	next     int
	retained map[string]area.Message
	all      []area.Message // what was published
}

type sub struct {
	filter  string
	enqueue func(area.Message)
}

func newBus() *bus { return &bus{subs: map[int]sub{}, retained: map[string]area.Message{}} }

func (b *bus) Publish(_ context.Context, batch ...area.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range batch {
		b.all = append(b.all, m)
		if m.Retain {
			b.retained[m.Topic] = m
		}
		for _, s := range b.subs {
			if area.MatchFilter(s.filter, m.Topic) {
				s.enqueue(m)
			}
		}
	}
	return nil
}

func (b *bus) Subscribe(filter string, enqueue func(area.Message)) (func(), error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.next
	b.next++
	b.subs[n] = sub{filter, enqueue}
	for _, m := range b.Retained(filter, 1000) {
		m.Replay = true
		enqueue(m)
	}
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.subs, n)
	}, nil
}

func (b *bus) Retained(filter string, most int) (list []area.Message) {
	for topic, m := range b.retained {
		if area.MatchFilter(filter, topic) && len(list) < most && len(m.Payload) > 0 {
			list = append(list, m)
		}
	}
	return list
}

func (b *bus) published() []area.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.all)
}

// site is a roster, whose areas and players the tests change.
type site struct {
	mu       sync.Mutex
	areas    map[area.Name]area.Area
	players  map[area.DeviceID]area.Device
	watchers []func()
}

func newSite(names ...area.Name) *site {
	s := &site{areas: map[area.Name]area.Area{}, players: map[area.DeviceID]area.Device{}}
	for _, n := range names {
		s.areas[n] = newArea(n)
	}
	return s
}

func newArea(n area.Name) area.Area {
	return area.Area{ID: n, Name: string(n), QuietHours: []string{}, Locations: []area.Location{}, Members: []area.DeviceID{}}
}

func (s *site) change(f func()) {
	s.mu.Lock()
	f()
	tell := slices.Clone(s.watchers)
	s.mu.Unlock()
	for _, w := range tell {
		w()
	}
}

func (s *site) Seen(text string) (area.Name, error) {
	n, err := area.ParseName(text)
	if err != nil {
		return "", err
	}
	if _, ok := s.Area(n); !ok {
		s.change(func() { s.areas[n] = newArea(n) })
	}
	return n, nil
}

func (s *site) Area(n area.Name) (area.Area, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.areas[n]
	return a, ok
}

func (s *site) Areas() (list []area.Area) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.areas {
		list = append(list, a)
	}
	return list
}

func (s *site) Players() (list []area.Device) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.players {
		list = append(list, d)
	}
	return list
}

func (s *site) Player(d area.DeviceID) (area.Device, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.players[d]
	return p, ok
}

func (s *site) Watch(changed func()) (cancel func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers = append(s.watchers, changed)
	return func() {}
}

// desk is orders, whose queues the tests change.
type desk struct {
	mu       sync.Mutex
	queues   map[area.Name][]area.Queued
	watchers []func(area.Order)
}

func (d *desk) Queue(a area.Name) []area.Queued {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.queues[a])
}

func (d *desk) Watch(enqueue func(area.Order)) (cancel func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watchers = append(d.watchers, enqueue)
	return func() {}
}

func (d *desk) put(o area.Order) {
	d.mu.Lock()
	if d.queues == nil {
		d.queues = map[area.Name][]area.Queued{}
	}
	d.queues[o.Area] = append(d.queues[o.Area], area.Queued{Order: o.ID, State: o.State})
	watchers := slices.Clone(d.watchers)
	d.mu.Unlock()
	for _, tell := range watchers {
		tell(o)
	}
}

// world is a pump and a view on one bus, watched.
type world struct {
	bus   area.Bus
	hub   *watcher
	site  *site
	desk  *desk
	reg   *registry.Registry
	pump  *Pump
	view  *View
	close func()
}

// newWorld makes a world on a bus and runs it until the test ends or close is
// called.
func newWorld(t *testing.T, b area.Bus, rules ...mapping.Rule) *world {
	t.Helper()
	return newWorldWatched(t, b, newWatcher(), rules...)
}

func newWorldWatched(t *testing.T, b area.Bus, hub *watcher, rules ...mapping.Rule) *world {
	t.Helper()
	return newWorldAmong(t, b, nil, hub, rules...)
}

// newWorldAmong makes the world of one node among others.
func newWorldAmong(t *testing.T, b area.Bus, others Others, hub *watcher, rules ...mapping.Rule) *world {
	t.Helper()
	table, err := mapping.Compile(rules)
	must(t, err)
	hist, err := history.New(history.Config{}, time.Now, slog.New(slog.DiscardHandler))
	must(t, err)
	w := &world{bus: b, hub: hub, site: newSite("north", "south"), desk: &desk{}}
	w.reg, err = registry.New(registry.Config{}, w.site, hist, new(registry.Memory), nil, time.Now, quietLog())
	must(t, err)
	retained, _ := b.(Retainer)
	w.pump, err = New(Config{}, Parts{Bus: b, Others: others, Hub: w.hub, Mappings: table, Readings: w.reg, Areas: w.site, Retained: retained, Now: time.Now}, quietLog())
	must(t, err)
	w.view, err = NewView(ViewConfig{}, ViewParts{Bus: b, Hub: w.hub, Roster: w.site, Orders: w.desk, Sensors: w.reg}, quietLog())
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, run := range []func(context.Context) error{w.pump.Run, w.view.Run, w.reg.Run} {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	w.close = func() { cancel(); wg.Wait() }
	t.Cleanup(w.close)
	<-w.pump.Ready()
	<-w.view.Ready()
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) publish(t *testing.T, topic, payload string) {
	t.Helper()
	must(t, w.bus.Publish(t.Context(), area.Message{Topic: topic, Payload: []byte(payload), From: "sensor"}))
}

func events(list []sent) string {
	var b strings.Builder
	for _, s := range list {
		fmt.Fprintf(&b, "%s%s ", s.event, s.args)
	}
	return strings.TrimSpace(b.String())
}
