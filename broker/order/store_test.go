package order

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/store"
)

// stores are the two that every test of the suite runs with. Again opens what a
// process finds that begins later.
var stores = map[string]func(t *testing.T) (s Store, again func() Store){
	"memory": func(*testing.T) (Store, func() Store) {
		m := NewMemory(3)
		return m, func() Store { return m }
	},
	"table": func(t *testing.T) (Store, func() Store) {
		db, err := store.Open(filepath.Join(t.TempDir(), "tacet.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		open := func() Store {
			d, err := NewDurable(db.Table("orders"), 3, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		return open(), func() Store {
			_ = db.Table("flush").Put(context.Background(), "k", nil) // what was not waited for is before it
			return open()
		}
	},
}

func TestStores(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) { testStore(t, open) })
	}
}

func testStore(t *testing.T, open func(*testing.T) (Store, func() Store)) {
	ctx := context.Background()
	m, again := open(t)
	ends := 0
	put := func(id string, s area.OrderState) {
		t.Helper()
		o := area.Order{ID: area.WorkID(id), Area: "north", State: s}
		if s.Ended() {
			ends++
			at := area.At(time.Unix(int64(ends), 0))
			o.EndedAt = &at
		}
		if err := m.Put(ctx, Record{Order: o}); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		put(id, area.OrderAccepted)
	}
	for _, id := range []string{"b", "a", "d", "e"} {
		put(id, area.OrderPlayed)
	}
	put("a", area.OrderFailed) // an end stays
	for range 2 {
		if r, ok := m.Get("a"); !ok || r.Order.State != area.OrderPlayed {
			t.Errorf("a is %+v, %v", r, ok)
		}
		if _, ok := m.Get("b"); ok {
			t.Error("b, the oldest end, is kept beyond the bound")
		}
		if live := m.Live(); len(live) != 1 || live[0].Order.ID != "c" {
			t.Errorf("live: %+v", live)
		}
		if got, want := listed(t, m), []area.WorkID{"e", "d", "c", "a"}; !slices.Equal(got, want) {
			t.Errorf("list %v, want %v", got, want)
		}
		if _, _, err := m.List(Filter{After: "!"}); area.CodeOf(err) != area.CodeInvalid {
			t.Errorf("a bad position: %v", err)
		}
		m = again()
	}
	_ = m.Drop(ctx, "c")
	_ = m.Drop(ctx, "e") // has its end: stays
	for range 2 {
		if items, _, _ := m.List(Filter{State: area.OrderPlayed}); len(items) != 3 || len(m.Live()) != 0 {
			t.Errorf("after Drop: %+v", items)
		}
		m = again()
	}
}

// listed is everything, page by page.
func listed(t *testing.T, m Store) (got []area.WorkID) {
	t.Helper()
	after := ""
	for {
		items, next, err := m.List(Filter{After: after, Limit: 3})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range items {
			got = append(got, o.ID)
		}
		if after = next; next == "" {
			return got
		}
	}
}

func TestMemoryForgets(t *testing.T) {
	m := NewMemory(3)
	for i := range 1000 {
		id := area.WorkID(strings.Repeat("x", i%60+1))
		_ = m.Put(t.Context(), Record{Order: area.Order{ID: id, State: area.OrderPlayed}})
		_ = m.Drop(t.Context(), id)
	}
	if len(m.rows) > 100 {
		t.Errorf("%d rows for %d orders", len(m.rows), len(m.byID))
	}
}

// TestRecordsComeBackWhole writes an order with everything in it.
func TestRecordsComeBackWhole(t *testing.T) {
	s, again := stores["table"](t)
	message, device, reason, volume := "hello", area.DeviceID("gate-1"), "preempted", 30
	at := area.At(time.UnixMilli(1795255200123).UTC())
	want := Record{Location: "1", Device: "gate-1", Order: area.Order{
		ID: "o-1", To: area.To{Device: &reason}, Area: "north", Kind: "announce", Message: &message, Chime: "none", Languages: []string{"en"},
		Priority: 120, Volume: &volume, Repeat: 2, NotBefore: &at, Expires: area.Duration(time.Minute), IfBusy: area.BusyQueue, Redo: area.RedoOnce,
		State: area.OrderPlaying, Reason: &reason, Attempt: 2, Device: &device, DurationMs: 4200, CreatedAt: at, StartedAt: &at, ExpiresAt: at,
		History: []area.OrderStep{{State: area.OrderAccepted, At: at}},
	}}
	if err := s.Put(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	got, ok := again().Get("o-1")
	if !ok || !reflect.DeepEqual(got, want) {
		x, _ := json.Marshal(got)
		y, _ := json.Marshal(want)
		t.Errorf("record %s\nwant   %s", x, y)
	}
}

// brokenTable refuses what it is told to keep.
type brokenTable struct{ err error }

func (brokenTable) Load(func(string, []byte) error) error           { return nil }
func (b brokenTable) PutAsync(_ string, _ []byte, done func(error)) { done(b.err) }
func (b brokenTable) DeleteAsync(_ string, done func(error))        { done(b.err) }

// TestWhatCannotBeStoredIsNotAccepted has a disk that is full.
func TestWhatCannotBeStoredIsNotAccepted(t *testing.T) {
	full := area.Errorf(area.CodeDiskFull, "no space left on device")
	d, err := NewDurable(brokenTable{full}, 0, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{}, d, newSite(), &desk{}, Speech{}, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Accept(t.Context(), say("north", "hello"), By{}); area.CodeOf(err) != area.CodeDiskFull || !errors.Is(err, full) {
		t.Errorf("accept: %v", err)
	}
	if live := d.Live(); len(live) != 0 {
		t.Errorf("live: %+v", live)
	}
}

// TestOrdersAreTakenUpAgain starts a second service on the store of the first:
// each accepted order reaches the dispatcher again, and its end.
func TestOrdersAreTakenUpAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(0)
		desks := []*desk{{}, {}}
		var first area.Order
		for i, d := range desks {
			s, err := New(Config{}, m, newSite(), d, Speech{}, time.Now, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- s.Run(ctx) }()
			if i == 0 {
				if first, err = s.Accept(ctx, say("north", "hello"), By{}); err != nil {
					t.Fatal(err)
				}
				s.Report(area.Report{Work: first.ID, Area: "north", State: area.OrderAssigned, Device: "gate-1", Att: 1})
				synctest.Wait()
				time.Sleep(10 * time.Minute) // past its expiry: the device may have played it
			} else {
				time.Sleep(time.Second)
				synctest.Wait()
				s.Report(area.Report{Work: first.ID, Area: "north", State: area.OrderPlayed, Device: "gate-1", Att: 1})
				synctest.Wait()
				if o, err := s.Get(first.ID); err != nil || o.State != area.OrderPlayed {
					t.Errorf("order %+v, %v", o, err)
				}
			}
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if got := d.submitted(); len(got) != 1 || got[0].ID != first.ID {
				t.Errorf("desk %d has %s; want %s alone", i, fmt.Sprint(got), first.ID)
			}
		}
	})
}
