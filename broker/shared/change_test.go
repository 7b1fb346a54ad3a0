package shared

import (
	"path/filepath"
	"testing"

	"github.com/tacet-hub/tacet/broker/store"
)

// TestDoubtIsBrought: what the disk holds of a record that it has refused is brought
// to the common copy, whether anything else is changed or not.
func TestDoubtIsBrought(t *testing.T) {
	s, err := store.Open(filepath.Join(t.TempDir(), "tacet.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	x, err := New(Config{Node: "a", Tables: []string{"t"}}, s, &Memory{})
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Table("t").Put(t.Context(), "k", []byte("v")); err != nil {
		t.Fatal(err)
	}
	<-x.pushes
	clear(x.owed)
	x.doubt[Name{"t", "k"}] = struct{}{}
	if err := x.resolve(); err != nil || x.Stats().Owed != 1 {
		t.Errorf("%d changes are owed, want 1: %v", x.Stats().Owed, err)
	}
	select {
	case <-x.pushes:
	default:
		t.Error("nobody is told that something is owed")
	}
}
