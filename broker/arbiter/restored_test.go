package arbiter

import (
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

func TestRestored(t *testing.T) {
	hold := holdRecord{Kind: classic, Device: "d1", LeftMs: 1000}
	work := workRecord{Work: "w-1", Att: 1, Device: "d2"}
	for name, c := range map[string]struct {
		backup record
		later  *record
		wait   time.Duration
		want   record
	}{
		"a clean stop": {
			record{Term: 64, AliveMs: 6250, Clean: true, Works: []workRecord{work}}, nil, 0,
			record{Term: 64 + restoredLift, AliveMs: 6250, Works: []workRecord{work}},
		},
		"a longer lease is said": {record{Term: 1, AliveMs: 6250}, nil, time.Minute, record{Term: 1 + restoredLift, AliveMs: 60_000}},
		"a shorter one is not":   {record{Term: 1, AliveMs: 6250}, nil, time.Second, record{Term: 1 + restoredLift, AliveMs: 6250}},
		"what is newer is known": {
			record{Term: 64, AliveMs: 6250, Holds: []holdRecord{{Kind: classic, Device: "d9", LeftMs: 5}}, Works: []workRecord{work}},
			&record{Term: 640, AliveMs: 60_250, Clean: true, Token: 640_000_003, Holds: []holdRecord{hold}, Works: []workRecord{{Work: "w-2", Att: 1}}}, 0,
			record{Term: 640 + restoredLift, AliveMs: 60_250, Token: 640_000_003, Holds: []holdRecord{hold}, Works: []workRecord{work}},
		},
		"near the last term": {record{Term: mostTerm - 1}, nil, 0, record{Term: mostTerm - 1}},
		"nearer still":       {record{Term: mostTerm - restoredLift - 1}, nil, 0, record{Term: mostTerm - restoredLift}},
	} {
		var later []byte
		if c.later != nil {
			later = c.later.encode()
		}
		got, err := Restored(c.backup.encode(), later, c.wait)
		if err != nil || string(got) != string(c.want.encode()) {
			t.Errorf("%s: %s %v, want %s", name, got, err, c.want.encode())
		}
	}
	if got, err := Restored(nil, nil, 0); err != nil || string(got) != string(record{Term: restoredLift}.encode()) {
		t.Errorf("of nothing: %s %v", got, err)
	}
	for name, err := range map[string]error{
		"no record": second(Restored([]byte("{}"), nil, 0)), "no newer record": second(Restored(nil, []byte("x"), 0)),
		"a wait of less than nothing": second(Restored(nil, nil, -1)), "of two days": second(Restored(nil, nil, 48*time.Hour)),
	} {
		if err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// TestARestoredRecordSettles: an arbiter that begins with one grants nothing while a
// lease of the one that it does not know of may be alive, though the backup is of a
// clean stop; and its term is above that one's.
func TestARestoredRecordSettles(t *testing.T) {
	lost := nextTerm(64, 0) + 100*termStep // a hundred starts after the backup
	backup := record{Term: 64, AliveMs: 6250, Clean: true}
	start, err := Restored(backup.encode(), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	cfg := CoreConfig{Area: "north", Node: "hub-1", Lease: 6 * time.Second}
	c, err := NewCore(cfg, start)
	if err != nil {
		t.Fatal(err)
	}
	var term uint64
	for _, d := range c.Step(Begin{}, 0) {
		if w, ok := d.(Commit); ok {
			r, err := parseRecord(w.Record)
			if err != nil {
				t.Fatal(err)
			}
			term = r.Term
		}
	}
	if term <= lost {
		t.Errorf("term %d, after one of %d", term, lost)
	}
	if end := area.Instant(0).Add(6250 * time.Millisecond); c.settleUntil != end || !c.settling() {
		t.Errorf("settles until %v, want %v", c.settleUntil, end)
	}
}
