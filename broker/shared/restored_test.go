package shared_test

import (
	"testing"

	"github.com/tacet-hub/tacet/broker/shared"
	"github.com/tacet-hub/tacet/broker/shared/sharedtest"
)

// TestRestored: what a backup had wins at every node over what was changed since, if
// that is wanted; what was made since stays.
func TestRestored(t *testing.T) {
	for _, wins := range []bool{false, true} {
		m := &shared.Memory{}
		one, two := sharedtest.Start(t, "hub-1", m, nil), sharedtest.Start(t, "hub-2", m, nil)
		one.Put("k", "of the backup")
		one.Put("deleted since", "there")
		sharedtest.Become(t, map[string]string{"k": "of the backup", "deleted since": "there"}, two)
		one.Stop()
		saved := one.Save()
		two.Put("k", "changed since")
		two.Put("new", "made since")
		two.Delete("deleted since")
		one.Again(m)
		sharedtest.Become(t, map[string]string{"k": "changed since", "new": "made since"}, one)
		one.Stop()
		if wins {
			saved = append(saved, shared.Restored())
		}
		one.Restore(saved)
		one.Again(m)
		want := map[string]string{"k": "changed since", "new": "made since"}
		if wins {
			want["k"], want["deleted since"] = "of the backup", "there"
		}
		sharedtest.Become(t, want, one)
		sharedtest.Become(t, want, two)
		two.Put("k", "after the restore")
		want["k"] = "after the restore"
		sharedtest.Become(t, want, one)
		one.Stop()
		one.Again(m) // the mark is gone: it does not win again
		sharedtest.Become(t, want, one)
		sharedtest.Become(t, want, two)
		one.Stop()
		two.Stop()
	}
}
