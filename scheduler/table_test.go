package scheduler

import (
	"log/slog"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/store"
)

// stores are the two that the suite runs with. Again opens what a process finds
// that begins later.
var stores = map[string]func(t *testing.T) (s Store, again func() Store){
	"memory": func(*testing.T) (Store, func() Store) {
		m := &Memory{}
		return m, func() Store { return m }
	},
	"table": func(t *testing.T) (Store, func() Store) {
		db, err := store.Open(filepath.Join(t.TempDir(), "tacet.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		again := func() Store {
			d, err := NewDurable(db.Table("schedules"), slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		return again(), again
	},
}

func TestStores(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			s, again := open(t)
			one, two := everyOf("one", time.Minute), cronOf("two", "*/10 * * * *", "Europe/London")
			for _, sched := range []area.Schedule{one, two, everyOf("gone", time.Hour)} {
				if err := s.Put(ctx, Record{Schedule: sched}); err != nil {
					t.Fatal(err)
				}
			}
			id := area.WorkID("o-1")
			last := area.ScheduleFired{At: area.At(time.UnixMilli(1795255200123).UTC()), Order: &id}
			each := map[area.LocationID]area.WorkID{"1": "o-1"}
			for _, id := range []string{"one", "never"} {
				if err := s.Fired(ctx, id, last, each); err != nil {
					t.Errorf("fired %s: %v", id, err)
				}
			}
			each["1"] = "changed after"
			for _, id := range []string{"gone", "never"} {
				if err := s.Delete(ctx, id); err != nil {
					t.Errorf("delete %s: %v", id, err)
				}
			}
			one.Last = &last
			want := map[string]Record{
				"one": {Schedule: one, Each: map[area.LocationID]area.WorkID{"1": "o-1"}},
				"two": {Schedule: two},
			}
			for range 2 {
				records, err := s.Load()
				if err != nil {
					t.Fatal(err)
				}
				got := map[string]Record{}
				for _, r := range records {
					got[r.Schedule.ID] = r
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("records %+v\nwant    %+v", got, want)
				}
				s = again()
			}
		})
	}
}
