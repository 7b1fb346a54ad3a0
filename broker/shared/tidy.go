package shared

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/store"
)

// deletedKept is for how long it is known that a record was deleted.
const deletedKept = 7 * 24 * time.Hour

// expired tells whether a stamp is that of a record that was deleted so long ago that
// it may be forgotten.
func (t *Tables) expired(s Stamp) bool {
	return s.Gone && t.cfg.Now().Sub(s.At()) > deletedKept
}

// outlived tells whether a record that the common copy does not have was deleted
// there: this node was away for so long that no stamp tells, the copy is the one that
// it knew, and the record was in it. The caller holds the lock.
func (t *Tables) outlived(s Stamp, epoch string) bool {
	was := Stamp{Time: t.synced.Time}
	return t.synced.Epoch == epoch && s.Time <= was.Time && t.cfg.Now().Sub(was.At()) > deletedKept
}

func (t *Tables) has(table string) bool { return slices.Contains(t.cfg.Tables, table) }

// tidy forgets the stamps of what was deleted long ago, here and at the common copy,
// and notes how far that is known.
func (t *Tables) tidy(ctx context.Context) error {
	old := t.outdated()
	if len(old) > 0 {
		if err := t.common.Forget(ctx, old); err != nil {
			return err
		}
		t.mu.Lock()
		for _, c := range old {
			if t.tables[c.Table][c.Key].Stamp != c.Stamp {
				continue
			}
			if err := t.erase(c.Name, func(error) {}); err == nil { // else the next time
				t.count.forgotten.Add(1)
			}
		}
		t.mu.Unlock()
	}
	return t.keepSynced(ctx)
}

func (t *Tables) outdated() (list []Change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for table, rows := range t.tables {
		for key, r := range rows {
			if !r.flying && t.expired(r.Stamp) {
				list = append(list, Change{Name{table, key}, r.Stamp})
			}
		}
	}
	return list
}

// keepSynced notes how far the common copy is known: to the newest stamp here, or to
// before the oldest that is owed to it, or will be. What is on its way to the disk
// from another node is there already.
func (t *Tables) keepSynced(ctx context.Context) error {
	t.mu.Lock()
	if !t.count.connected.Load() || t.synced.Epoch == "" {
		t.mu.Unlock()
		return nil
	}
	t.synced.Time = t.clock.next()
	for table, rows := range t.tables {
		for key, r := range rows {
			if _, owed := t.owed[Name{table, key}]; owed || r.flying && r.Node == t.cfg.Node {
				t.synced.Time = min(t.synced.Time, r.Time-1)
			}
		}
	}
	b, err := json.Marshal(t.synced)
	t.mu.Unlock()
	if err != nil {
		return err
	}
	return t.together(ctx, []store.Record{{Table: stampTable, Key: syncedKey, Value: b}})
}
