package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// book is an order service that writes down what it is given.
type book struct {
	mu     sync.Mutex
	lines  []string // "time to"
	keys   []string
	orders map[area.WorkID]area.Order
	refuse error
	dry    error
}

func (b *book) Accept(_ context.Context, r area.OrderRequest, by By) (area.Order, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refuse != nil {
		return area.Order{}, b.refuse
	}
	o := area.Order{ID: area.WorkID(fmt.Sprintf("o-%d", len(b.lines)+1)), State: area.OrderWaiting}
	to := "area"
	if r.To.Location != nil {
		to = *r.To.Location
	}
	b.lines = append(b.lines, time.Now().UTC().Format("02T15:04:05 ")+to)
	b.keys = append(b.keys, by.Schedule+" "+by.Key)
	if b.orders == nil {
		b.orders = map[area.WorkID]area.Order{}
	}
	b.orders[o.ID] = o
	return o, nil
}

func (b *book) DryRun(context.Context, area.OrderRequest) (area.Order, error) {
	return area.Order{}, b.dry
}

func (b *book) Get(id area.WorkID) (area.Order, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o, ok := b.orders[id]
	if !ok {
		return o, area.Errorf(area.CodeNotFound, "no order %s", id)
	}
	return o, nil
}

func (b *book) end(id area.WorkID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.orders[id]
	o.State = area.OrderPlayed
	b.orders[id] = o
}

func (b *book) answer(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuse = err
}

func (b *book) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.lines, "\n")
}

type gates []area.Area

func (g gates) Areas() []area.Area { return g }

func twoAreas() gates {
	return gates{{ID: "south", Locations: []area.Location{{ID: "3"}}}, {ID: "north", Locations: []area.Location{{ID: "2"}, {ID: "1"}}}}
}

func text[T ~string](s T) *T { return &s }

func cronOf(id, line, zone string) area.Schedule {
	return area.Schedule{ID: id, Cron: &line, TimeZone: zone, Enabled: true, Work: area.OrderRequest{To: area.To{Area: text("north")}, Message: text("m")}}
}

func everyOf(id string, d time.Duration) area.Schedule {
	e := area.Duration(d)
	s := cronOf(id, "", "")
	s.Cron, s.Every = nil, &e
	return s
}

func build(t *testing.T, cfg Config, store Store, b *book, now func() time.Time) *Service {
	t.Helper()
	s, err := New(cfg, store, b, twoAreas(), now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// running runs f beside the service, in a bubble whose clock begins at 2000-01-01
// 00:00 UTC.
func running(t *testing.T, cfg Config, f func(s *Service, b *book)) {
	runningFrom(t, time.Time{}, cfg, f)
}

// runningFrom is running from a later time.
func runningFrom(t *testing.T, start time.Time, cfg Config, f func(s *Service, b *book)) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(start))
		b := &book{}
		s := build(t, cfg, &Memory{}, b, time.Now)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := s.Run(ctx); err != nil {
				t.Errorf("Run: %v", err)
			}
		})
		f(s, b)
		cancel()
		wg.Wait()
	})
}

// pass lets time go by in the bubble until everything that was due has been done.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func want(t *testing.T, b *book, lines ...string) {
	t.Helper()
	if got := b.text(); got != strings.Join(lines, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(lines, "\n"))
	}
}

func TestRuns(t *testing.T) {
	running(t, Config{Schedules: []area.Schedule{cronOf("c", "*/5 * * * *", "UTC"), everyOf("e", 4*time.Minute)}}, func(s *Service, b *book) {
		pass(15*time.Minute + time.Second)
		want(t, b, "01T00:04:00 area", "01T00:05:00 area", "01T00:08:00 area", "01T00:10:00 area", "01T00:12:00 area", "01T00:15:00 area")
		c, err := s.Get("c")
		if err != nil || c.Next.String() != "2000-01-01T00:20:00.000Z" || c.Last.At.String() != "2000-01-01T00:15:00.000Z" || *c.Last.Order != "o-6" || c.Source != area.SourceConfig {
			t.Errorf("got %+v, %v", c, err)
		}
		if got := s.Stats(); got != (Stats{Schedules: 2, Fired: 6}) {
			t.Errorf("stats: got %+v", got)
		}
		if got := b.keys[1]; got != "c 2000-01-01T00:05:00.000Z/" {
			t.Errorf("key: got %q", got)
		}
	})
}

func TestRunsThroughClockChanges(t *testing.T) {
	cfg := Config{Schedules: []area.Schedule{cronOf("night", "30 1 * * *", "Europe/London")}}
	runningFrom(t, time.Date(2000, 3, 25, 12, 0, 0, 0, time.UTC), cfg, func(s *Service, b *book) {
		pass(48 * time.Hour)
		want(t, b, "26T01:00:00 area", "27T00:30:00 area") // 02:00 BST for the 01:30 that is not there
	})
	runningFrom(t, time.Date(2000, 10, 28, 12, 0, 0, 0, time.UTC), cfg, func(s *Service, b *book) {
		pass(48 * time.Hour)
		want(t, b, "29T00:30:00 area", "30T01:30:00 area") // the first 01:30 of two
	})
}

func TestEachLocation(t *testing.T) {
	round := everyOf("round", time.Minute)
	round.Work.To = area.To{Each: text(EachLocation)}
	running(t, Config{Schedules: []area.Schedule{round}}, func(s *Service, b *book) {
		pass(time.Minute)
		want(t, b, "01T00:01:00 1", "01T00:01:00 2", "01T00:01:00 3")
		b.end("o-2")
		pass(time.Minute)
		want(t, b, "01T00:01:00 1", "01T00:01:00 2", "01T00:01:00 3", "01T00:02:00 2")
		for _, id := range []area.WorkID{"o-1", "o-3", "o-4"} {
			b.end(id)
		}
		pass(time.Minute)
		if got := s.Stats(); got.Fired != 7 || got.Skipped != 2 {
			t.Errorf("stats: got %+v", got)
		}
		if got := b.keys[6]; got != "round 2000-01-01T00:03:00.000Z/3" {
			t.Errorf("key: got %q", got)
		}
	})
}

func TestOnceEnds(t *testing.T) {
	at := area.At(time.Date(2000, 1, 1, 0, 1, 0, 0, time.UTC))
	o := cronOf("o", "", "")
	o.Cron, o.Once = nil, &at
	running(t, Config{Schedules: []area.Schedule{o}}, func(s *Service, b *book) {
		pass(time.Hour)
		want(t, b, "01T00:01:00 area")
		if got, _ := s.Get("o"); got.Next != nil {
			t.Errorf("next: got %s", got.Next)
		}
		if got, err := s.Next("o", 5); err != nil || len(got) != 0 {
			t.Errorf("Next: got %v, %v", got, err)
		}
	})
}

func TestChangesWhileItRuns(t *testing.T) {
	running(t, Config{}, func(s *Service, b *book) {
		made, err := s.Create(t.Context(), everyOf("mine", time.Minute))
		if err != nil || made.ID != "mine" || made.Source != area.SourceAPI || made.Next == nil {
			t.Fatalf("got %+v, %v", made, err)
		}
		pass(61 * time.Second)
		want(t, b, "01T00:01:00 area")
		made.Enabled = false
		if made, err = s.Put(t.Context(), made); err != nil || made.Next != nil || made.Last == nil {
			t.Fatalf("got %+v, %v", made, err)
		}
		pass(2 * time.Minute)
		want(t, b, "01T00:01:00 area")
		made.Enabled = true
		if _, err = s.Put(t.Context(), made); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		if err := s.Delete(t.Context(), made.ID); err != nil {
			t.Fatal(err)
		}
		pass(time.Hour)
		want(t, b, "01T00:01:00 area", "01T00:04:00 area")
	})
}

func TestRefusedOrderIsNoEnd(t *testing.T) {
	running(t, Config{Schedules: []area.Schedule{everyOf("e", time.Minute)}}, func(s *Service, b *book) {
		b.answer(area.Errorf(area.CodeUnknownArea, "no area north"))
		pass(time.Minute)
		if e, _ := s.Get("e"); e.Last == nil || e.Last.Order != nil || s.Stats().Refused != 1 {
			t.Errorf("got %+v, %+v", e.Last, s.Stats())
		}
		b.answer(nil)
		pass(time.Minute)
		want(t, b, "01T00:02:00 area")
	})
}

func TestWallClockIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var shift time.Duration
		now := func() time.Time { mu.Lock(); defer mu.Unlock(); return time.Now().Add(shift) }
		set := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); shift += d }
		b := &book{}
		s := build(t, Config{Schedules: []area.Schedule{cronOf("c", "*/10 * * * *", "UTC")}}, &Memory{}, b, now)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = s.Run(ctx) })
		pass(10 * time.Minute)
		want(t, b, "01T00:10:00 area")
		set(time.Hour) // from 00:10 to 01:10: 00:20 to 01:00 are missed, 01:10 is not
		pass(look)
		if got := s.Stats(); got.Fired != 2 || got.Missed != 1 {
			t.Errorf("forward: got %+v", got)
		}
		set(-5 * time.Minute) // a correction: 01:10 is not said again
		pass(9 * time.Minute)
		if got := s.Stats(); got.Fired != 2 {
			t.Errorf("corrected: got %+v", got)
		}
		set(-24 * time.Hour) // set: it goes on from there
		pass(11 * time.Minute)
		if got := s.Stats(); got.Fired != 3 {
			t.Errorf("set back: got %+v", got)
		}
		cancel()
		wg.Wait()
	})
}

func TestMissedWhileStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, b := &Memory{}, &book{}
		cfg := Config{Schedules: []area.Schedule{everyOf("e", time.Minute)}}
		for range 2 {
			s := build(t, cfg, store, b, time.Now)
			ctx, cancel := context.WithTimeout(t.Context(), 80*time.Second)
			if err := s.Run(ctx); err != nil {
				t.Fatal(err)
			}
			cancel()
			if got := s.Stats(); got.Fired > 2 {
				t.Errorf("got %+v", got)
			}
			time.Sleep(time.Hour)
		}
		want(t, b, "01T00:01:00 area", "01T01:02:00 area")
		e, err := build(t, cfg, store, b, time.Now).Get("e")
		if err != nil || e.Last.At.String() != "2000-01-01T01:02:00.000Z" {
			t.Errorf("kept: got %+v, %v", e.Last, err)
		}
	})
}

func TestSourcesAndCodes(t *testing.T) {
	b := &book{}
	s := build(t, Config{Schedules: []area.Schedule{everyOf("file", time.Minute)}, Most: 3}, &Memory{}, b, time.Now)
	ctx := t.Context()
	if _, err := s.Create(ctx, everyOf("mine", time.Minute)); err != nil {
		t.Fatal(err)
	}
	calls := map[string]struct {
		call func() error
		want area.Code
	}{
		"create twice":      {func() error { _, err := s.Create(ctx, everyOf("mine", time.Minute)); return err }, area.CodeExists},
		"create configured": {func() error { _, err := s.Create(ctx, everyOf("file", time.Minute)); return err }, area.CodeExists},
		"put configured":    {func() error { _, err := s.Put(ctx, everyOf("file", time.Minute)); return err }, area.CodeConfigured},
		"put unknown":       {func() error { _, err := s.Put(ctx, everyOf("x", time.Minute)); return err }, area.CodeNotFound},
		"put wrong":         {func() error { _, err := s.Put(ctx, cronOf("mine", "x", "")); return err }, area.CodeInvalid},
		"delete configured": {func() error { return s.Delete(ctx, "file") }, area.CodeConfigured},
		"delete unknown":    {func() error { return s.Delete(ctx, "x") }, area.CodeNotFound},
		"get unknown":       {func() error { _, err := s.Get("x"); return err }, area.CodeNotFound},
		"next unknown":      {func() error { _, err := s.Next("x", 1); return err }, area.CodeNotFound},
		"next of none":      {func() error { _, err := s.Next("mine", 0); return err }, area.CodeInvalid},
		"reload over mine":  {func() error { return s.Reload(ctx, []area.Schedule{everyOf("mine", time.Minute)}) }, area.CodeExists},
		"reload wrong":      {func() error { return s.Reload(ctx, []area.Schedule{cronOf("y", "x", "")}) }, area.CodeInvalid},
		"the order's no": {func() error {
			b.dry = area.Errorf(area.CodeUnknownArea, "no area north")
			defer func() { b.dry = nil }()
			_, err := s.Create(ctx, everyOf("z", time.Minute))
			return err
		}, area.CodeUnknownArea},
		"fine":     {func() error { return s.Delete(ctx, "mine") }, ""},
		"a reload": {func() error { return s.Reload(ctx, []area.Schedule{everyOf("file2", time.Minute)}) }, ""},
		"too many": {func() error {
			full := build(t, Config{Most: 1, Schedules: []area.Schedule{everyOf("a", time.Minute)}}, &Memory{}, b, time.Now)
			_, err := full.Create(ctx, everyOf("b", time.Minute))
			return err
		}, area.CodeRate},
	}
	for _, name := range []string{"create twice", "create configured", "put configured", "put unknown", "put wrong", "delete configured", "delete unknown",
		"get unknown", "next unknown", "next of none", "reload over mine", "reload wrong", "the order's no", "fine", "a reload", "too many"} {
		if got := area.CodeOf(calls[name].call()); got != calls[name].want {
			t.Errorf("%s: got %q, want %q", name, got, calls[name].want)
		}
	}
	var ids []string
	for _, l := range s.List() {
		ids = append(ids, l.ID)
	}
	if !reflect.DeepEqual(ids, []string{"file2"}) {
		t.Errorf("after the reload: got %q", ids)
	}
}

func TestValidate(t *testing.T) {
	e := area.Duration(time.Minute)
	cases := map[string]struct {
		change func(*area.Schedule)
		field  string
	}{
		"id":        {func(s *area.Schedule) { s.ID = "a b" }, "id"},
		"cron":      {func(s *area.Schedule) { s.Cron = text("61 * * * *") }, "cron"},
		"no rule":   {func(s *area.Schedule) { s.Cron = nil }, "cron"},
		"two rules": {func(s *area.Schedule) { s.Every = &e }, "cron"},
		"every":     {func(s *area.Schedule) { s.Cron = nil; none := area.Duration(0); s.Every = &none }, "every"},
		"zone":      {func(s *area.Schedule) { s.TimeZone = "Mars" }, "time_zone"},
		"nowhere":   {func(s *area.Schedule) { s.Work.To = area.To{} }, "work.to"},
		"each":      {func(s *area.Schedule) { s.Work.To = area.To{Each: text("areas")} }, "work.to.each"},
		"order id":  {func(s *area.Schedule) { id := "o-1"; s.Work.ID = &id }, "work.id"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := cronOf("s", "* * * * *", "UTC")
			if err := Validate(s); err != nil {
				t.Fatal(err)
			}
			c.change(&s)
			got, ok := errors.AsType[*area.Error](Validate(s))
			if !ok || got.Code != area.CodeInvalid || len(got.Fields) != 1 || got.Fields[0].Field != c.field {
				t.Errorf("got %+v, want field %s", got, c.field)
			}
		})
	}
}

func TestNext(t *testing.T) {
	s := build(t, Config{Schedules: []area.Schedule{cronOf("c", "30 1 * * *", "Europe/London")}}, &Memory{}, &book{},
		func() time.Time { return time.Date(2026, 10, 24, 12, 0, 0, 0, time.UTC) })
	got, err := s.Next("c", 2)
	if err != nil || fmt.Sprint(got) != "[2026-10-25T00:30:00.000Z 2026-10-26T01:30:00.000Z]" {
		t.Errorf("got %v, %v", got, err)
	}
}

// Before the clock is set nothing comes due; from then on everything does.
func TestClockThatIsNotSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var set atomic.Bool
		began := time.Now()
		now := func() time.Time {
			if set.Load() {
				return time.Now()
			}
			return time.Unix(0, 0).UTC().Add(time.Since(began))
		}
		b := &book{}
		s := build(t, Config{Schedules: []area.Schedule{cronOf("c", "* * * * *", "UTC"), everyOf("e", time.Minute)}, NotBefore: began}, &Memory{}, b, now)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = s.Run(ctx) })
		pass(30 * time.Minute)
		if got := s.Stats(); got.Fired != 0 {
			t.Errorf("before it is set: got %+v, %s", got, b.text())
		}
		set.Store(true)
		pass(5*time.Minute + look)
		if got := s.Stats(); got.Fired < 9 || got.Fired > 11 || got.Missed > 2 {
			t.Errorf("5 minutes after it was set: got %+v, %s", got, b.text())
		}
		cancel()
		wg.Wait()
	})
}
