package shared

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tacet-hub/tacet/broker/store"
)

// Records of the table of stamps that are no stamps: their keys begin with a 0.
const (
	aloneKey  = "\x00alone"  // there: the tables were changed without a Common, perhaps
	syncedKey = "\x00synced" // a [synced]
)

// synced says how far this node is known to be one with the common copy.
type synced struct {
	Epoch string `json:"epoch"`
	Time  uint64 `json:"time"` // of the newest stamp of this node that is there, like all before it
}

// leave notes that what comes now is changed without a Common, where there ever was
// one.
func (t *Tables) leave() error {
	if err := t.forgetRestored(); err != nil {
		return err
	}
	shared := t.store.Table(stampTable)
	some := errors.New("there are stamps")
	err := shared.Load(func(string, []byte) error { return some })
	if !errors.Is(err, some) {
		return err
	}
	return shared.Put(context.Background(), aloneKey, nil)
}

// open reads the stamps, and gives one to each record that has changed without.
func (t *Tables) open() error {
	alone, restored := false, false
	err := t.store.Table(stampTable).Load(func(key string, value []byte) error {
		switch key {
		case aloneKey:
			alone = true
			return nil
		case restoredKey:
			restored = true
			return nil
		case syncedKey:
			if err := json.Unmarshal(value, &t.synced); err != nil {
				return fmt.Errorf("shared: how far the common copy was known: %w", err)
			}
			return nil
		}
		n, ok := nameOf(key)
		s, err := ParseStamp(string(value))
		if err != nil || !ok {
			return nil // the record counts as one that never had a stamp
		}
		t.clock.saw(s)
		t.note(n, record{Stamp: s})
		return nil
	})
	if err != nil {
		return err
	}
	var list []store.Record
	for _, table := range t.cfg.Tables {
		more, err := t.reconcile(table, alone && t.store.Damage()[table] == 0)
		if err != nil {
			return err
		}
		list = append(list, more...)
		if restored {
			if more, err = t.renew(table); err != nil {
				return err
			}
			list = append(list, more...)
		}
	}
	if restored {
		list = append(list, store.Record{Table: stampTable, Key: restoredKey, Gone: true})
	}
	if alone {
		list = append(list, store.Record{Table: stampTable, Key: aloneKey, Gone: true})
	}
	return t.together(context.Background(), list)
}

// reconcile compares the stamps of a table with its records. Deleted says that a
// record that is missing was deleted; else it is one that was lost.
func (t *Tables) reconcile(table string, deleted bool) (list []store.Record, err error) {
	missing := map[string]bool{}
	for key, r := range t.tables[table] {
		missing[key] = !r.Gone
	}
	put := func(key string, s Stamp) {
		n := Name{table, key}
		t.note(n, record{Stamp: s})
		list = append(list, store.Record{Table: stampTable, Key: stampKey(n), Value: []byte(s.String())})
	}
	err = t.store.Table(table).Load(func(key string, value []byte) error {
		delete(missing, key)
		switch r, sum := t.tables[table][key], sumOf(value); {
		case r.Time == 0:
			put(key, Stamp{Time: 1, Node: t.cfg.Node, Sum: sum})
		case r.Gone || r.Sum != sum:
			put(key, Stamp{Time: t.clock.next(), Node: t.cfg.Node, Sum: sum})
		}
		return nil
	})
	for key, was := range missing {
		switch {
		case !was:
		case deleted:
			put(key, Stamp{Time: t.clock.next(), Node: t.cfg.Node, Gone: true})
		default:
			delete(t.tables[table], key)
			list = append(list, store.Record{Table: stampTable, Key: stampKey(Name{table, key}), Gone: true})
		}
	}
	return list, err
}

// together writes records at once and waits for the disk.
func (t *Tables) together(ctx context.Context, list []store.Record) error {
	if len(list) == 0 {
		return nil
	}
	out := make(chan error, 1)
	if err := t.store.PutTogether(list, func(err error) { out <- err }); err != nil {
		return err
	}
	select {
	case err := <-out:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
