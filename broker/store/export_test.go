package store

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
)

// exported is everything that an export hands out.
func exported(t *testing.T, export func(func(Record) error) (map[string]int, error)) (all map[string]string, damaged map[string]int) {
	t.Helper()
	all = map[string]string{}
	damaged, err := export(func(r Record) error {
		key := r.Table + " " + r.Key
		if _, twice := all[key]; twice {
			t.Errorf("%s came twice", key)
		}
		all[key] = string(r.Value)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, damaged
}

// TestAFileMadeOfAnExportIsTheSame: what a store hands out, open or closed, makes
// another that hands out the same, and that no check finds wrong.
func TestAFileMadeOfAnExportIsTheSame(t *testing.T) {
	path, _, want := library(t)
	want[" north"] = "record"
	closed, damaged := exported(t, func(each func(Record) error) (map[string]int, error) { return ExportFile(path, each) })
	if !maps.Equal(closed, want) || len(damaged) > 0 {
		t.Errorf("the closed file: %d records, want %d, damaged %v", len(closed), len(want), damaged)
	}
	s := open(t, path)
	live, _ := exported(t, s.Export)
	if !maps.Equal(live, want) {
		t.Errorf("the open store: %d records, want %d", len(live), len(want))
	}
	second := filepath.Join(t.TempDir(), "tacet.db")
	m, err := Make(second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Export(m.Put); err != nil {
		t.Fatal(err)
	}
	if err := m.Put(Record{Table: "large", Key: "k", Value: make([]byte, makeBatch)}); err != nil {
		t.Fatal(err)
	}
	if err := m.Put(Record{Table: "large", Key: "l", Value: []byte("after")}); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	made := open(t, second)
	if made.Quarantined() != "" || len(made.Damage()) > 0 {
		t.Fatalf("set aside %q, damage %v", made.Quarantined(), made.Damage())
	}
	again, _ := exported(t, made.Export)
	delete(again, "large k")
	delete(again, "large l")
	if !maps.Equal(again, want) {
		t.Errorf("the second: %d records, want %d", len(again), len(want))
	}
	if _, err := Make(second); err == nil {
		t.Error("a file that is there was made again")
	}
}

// TestExportLeavesOutWhatIsDamaged, and says so.
func TestExportLeavesOutWhatIsDamaged(t *testing.T) {
	path, content, want := library(t)
	for at := range content {
		if string(content[at:min(at+5, len(content))]) == "588 f" || string(content[at:min(at+6, len(content))]) == "record" {
			content[at] ^= 1
		}
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	all, damaged := exported(t, func(each func(Record) error) (map[string]int, error) { return ExportFile(path, each) })
	if len(damaged) == 0 || damaged[ledgerTable] != 1 {
		t.Errorf("damaged %v", damaged)
	}
	for key, value := range all {
		if want[key] != value {
			t.Errorf("%s is %.20q, want %.20q", key, value, want[key])
		}
	}
	if now, err := os.ReadFile(path); err != nil || string(now) != string(content) {
		t.Errorf("the file was changed: %v", err)
	}
}

func TestReserve(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tacet.db")
	release, err := Reserve(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	if _, err := Reserve(path); !errors.Is(err, ErrInUse) {
		t.Errorf("reserve: %v", err)
	}
	if _, err := ExportFile(path, func(Record) error { return nil }); !errors.Is(err, ErrInUse) {
		t.Errorf("export: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if release, err = Reserve(path); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, ErrInUse) {
		t.Errorf("open of a reserved file: %v", err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	if _, err := ExportFile(path+".no", func(Record) error { return nil }); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("export of nothing: %v", err)
	}
}

func TestMakeRefuses(t *testing.T) {
	m, err := Make(filepath.Join(t.TempDir(), "tacet.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Abandon()
	for _, r := range []Record{{Key: "no id"}, {Table: "t"}, {Table: fmt.Sprintf("%065d", 1), Key: "k"}, {Table: "t", Key: string(make([]byte, maxStateKey+1))}} {
		if err := m.Put(r); area.CodeOf(err) != area.CodeInvalid {
			t.Errorf("table %.10q, key of %d bytes: %v", r.Table, len(r.Key), err)
		}
	}
}
