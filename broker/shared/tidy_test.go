package shared

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/store"
)

// TestSyncedWhileWriting: a node that ends while a change is on its way to its disk
// knows the common copy to there, if the change came from it; and to before it, if it
// is one of its own.
func TestSyncedWhileWriting(t *testing.T) {
	for node, known := range map[string]bool{"other": true, "self": false} {
		s, err := store.Open(filepath.Join(t.TempDir(), "tacet.db"))
		if err != nil {
			t.Fatal(err)
		}
		at := time.Now()
		x, err := New(Config{Node: "self", Tables: []string{"t"}, Now: func() time.Time { return at }}, s, &Memory{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := x.compare(t.Context()); err != nil {
			t.Fatal(err)
		}
		x.count.connected.Store(true)
		flying := record{Stamp: Stamp{Time: x.clock.next(), Node: node}, value: []byte("v"), flying: true}
		x.note(Name{"t", "k"}, flying)
		if err := x.keepSynced(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := x.synced.Time >= flying.Time; got != known {
			t.Errorf("that the common copy is known to have the change of node %s is %v, want %v", node, got, known)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
