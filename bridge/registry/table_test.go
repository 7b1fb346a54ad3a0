package registry

import (
	"path/filepath"
	"reflect"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/store"
)

func TestAssignments(t *testing.T) {
	db, err := store.Open(filepath.Join(t.TempDir(), "tacet.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	m := new(Memory)
	for name, open := range map[string]func() Assignments{
		"memory": func() Assignments { return m },
		"table":  func() Assignments { return NewDurable(db.Table("assignments")) },
	} {
		t.Run(name, func(t *testing.T) {
			a := open()
			north, one, title := area.Name("north"), area.LocationID("1"), "Hall"
			for id, x := range map[area.DeviceID]Assignment{"a/b c": {Area: &north, Location: &one}, "hall": {Name: &title}} {
				if err := a.Put(id, x); err != nil {
					t.Fatal(err)
				}
			}
			if err := a.Put("hall", Assignment{Area: &north}); err != nil {
				t.Fatal(err)
			}
			for _, x := range []Assignment{{Area: &north}, {}} {
				if err := a.Put("removed", x); err != nil {
					t.Fatal(err)
				}
			}
			want := map[area.DeviceID]Assignment{"a/b c": {Area: &north, Location: &one}, "hall": {Area: &north}}
			if got, err := open().All(); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("all %+v, %v; want %+v", got, err, want)
			}
		})
	}
}
