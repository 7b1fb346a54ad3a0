package firmware

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
)

// A journal that could not be written is written whole as soon as it can be: what
// was played meanwhile is not played again after a restart, and half a line that the
// failure left does not spoil the line after it.
func TestJournalOnAFailingDisk(t *testing.T) {
	full := func(t *testing.T) *os.File { // what it writes finds no room
		f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	unsynced := func(t *testing.T) *os.File { // what it writes does not come to a disk
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		return w
	}
	for name, c := range map[string]struct {
		disk func(*testing.T) *os.File
		want error
		left string // in the file, by the failing write
	}{
		"no room":                 {full, syscall.ENOSPC, ""},
		"no room in the middle":   {full, syscall.ENOSPC, "o-"},
		"a sync that fails":       {unsynced, syscall.EINVAL, ""},
		"a sync, and half a line": {unsynced, syscall.EINVAL, "o"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			m := memory(t, dir)
			if err := m.Journal("o-1"); err != nil {
				t.Fatal(err)
			}
			good := m.journal.file
			if _, err := good.WriteString(c.left); err != nil {
				t.Fatal(err)
			}
			m.journal.file = c.disk(t)
			if err := m.Journal("o-2"); !errors.Is(err, c.want) || !m.Played("o-2") {
				t.Fatalf("o-2: %v, want %v; remembered %v", err, c.want, m.Played("o-2"))
			}
			_ = good.Close()
			if err := m.Journal("o-3"); err != nil {
				t.Fatal(err)
			}
			_ = m.Close()
			m = memory(t, dir)
			for _, w := range []area.WorkID{"o-1", "o-2", "o-3"} {
				if !m.Played(w) {
					t.Errorf("%s is forgotten, the journal has %v", w, m.journal.works)
				}
			}
		})
	}
}

// A directory that takes nothing fails each play's entry, and the first one after
// that writes them all.
func TestJournalWithoutADirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "memory")
	m := memory(t, dir)
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	m.journal.torn = true // so that it is written anew
	for _, w := range []area.WorkID{"o-1", "o-2", "o-2"} {
		if err := m.Journal(w); !errors.Is(err, os.ErrNotExist) || !m.Played(w) {
			t.Errorf("%s: %v, remembered %v", w, err, m.Played(w))
		}
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	if err := m.Journal("o-3"); err != nil {
		t.Fatal(err)
	}
	_ = m.Close()
	m = memory(t, dir)
	if !m.Played("o-1") || !m.Played("o-2") || !m.Played("o-3") {
		t.Errorf("the journal has %v", m.journal.works)
	}
}
