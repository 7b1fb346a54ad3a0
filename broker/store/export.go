package store

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/tacet-hub/tacet/broker/area"
)

// Export hands every record that is well to each, as the disk has them at one
// moment: the ledger first, without the name of a table, then the tables by their names, the keys of each in
// order. The value is the callee's. It answers how many records are not among
// them since they are damaged, by table as [Store.Damage] does. An error of each
// ends it, and is returned as it is. It blocks for reading and for each, which
// must not call the store and should not take long: what is deleted meanwhile
// frees no space.
func (s *Store) Export(each func(Record) error) (damaged map[string]int, err error) {
	damaged = s.Damage()
	err = s.view(func(tx *bolt.Tx) error {
		if err := exportBucket(tx.Bucket(ledgerBucket), "", damaged, each); err != nil {
			return err
		}
		tables := tx.Bucket(tablesBucket)
		return tables.ForEachBucket(func(name []byte) error {
			return exportBucket(tables.Bucket(name), string(name), damaged, each)
		})
	})
	return damaged, err
}

func exportBucket(b *bolt.Bucket, table string, damaged map[string]int, each func(Record) error) error {
	return b.ForEach(func(k, sealed []byte) error {
		return exportRecord(place{table, string(k)}, sealed, damaged, each)
	})
}

func exportRecord(p place, sealed []byte, damaged map[string]int, each func(Record) error) error {
	value, err := unseal(p, sealed)
	switch {
	case errors.Is(err, ErrCorrupt):
		name := p.table
		if name == "" {
			name = ledgerTable
		}
		damaged[name]++
		return nil
	case err != nil:
		return fmt.Errorf("store: %s: %w", p, err)
	}
	return each(Record{Table: p.table, Key: p.key, Value: value})
}

// ExportFile is [Store.Export] for a file that no store has open, which it does
// not change: what is damaged stays where it is and is counted. Its error wraps
// [ErrInUse] where another process has the file, and fs.ErrNotExist where there
// is none.
func ExportFile(path string, each func(Record) error) (damaged map[string]int, err error) {
	v, err := surveyLocked(path)
	if err != nil && !errors.Is(err, errDamaged) {
		return nil, fmt.Errorf("store: %s: %w", path, err)
	}
	damaged = v.damage()
	if err != nil {
		damaged["file"] = 1
	}
	for _, p := range slices.SortedFunc(maps.Keys(v.records), inOrder) {
		sealed := v.records[p]
		if errors.Is(intact(p, sealed), ErrCorrupt) {
			continue // damage has counted it
		}
		if err := exportRecord(p, sealed, damaged, each); err != nil {
			return damaged, err
		}
	}
	return damaged, nil
}

// Reserve keeps every store from opening the file until release is called, and
// lets others read it. Its error wraps [ErrInUse] where a store has it. It blocks
// for a second then. A file that is not there, or too damaged to be locked, is
// reserved by nothing.
func Reserve(path string) (release func() error, err error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return func() error { return nil }, nil
	}
	o, err := openBolt(path, true)
	switch {
	case errors.Is(err, errDamaged):
		return func() error { return nil }, nil
	case err != nil:
		return nil, fmt.Errorf("store: %s: %w", path, err)
	}
	return o.db.Close, nil
}

// most bytes of records that a [Maker] puts into one transaction.
const makeBatch = 4 << 20

// Maker makes the file of a store out of records. It is not safe for concurrent
// use. Make it with [Make].
type Maker struct {
	db    *bolt.DB
	path  string
	tx    *bolt.Tx
	delta sums
	size  int // of what tx has
}

// Make begins a file, which must not be there yet; its directory must. Until
// Close has returned nil it is not whole.
func Make(path string) (*Maker, error) {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("store: %s is there already", path)
	}
	if err := create(path); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	o, err := openBolt(path, false)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	o.db.NoSync = true // Close does, once
	return &Maker{db: o.db, path: path, delta: sums{}}, nil
}

// Put adds a record; a later one of the same key takes the place of an earlier
// one. It refuses, with code invalid, what no store can have written.
func (m *Maker) Put(r Record) error {
	switch {
	case r.Table == "" && !area.IsID(r.Key):
		return area.InvalidField("key", "%.80q is no id of an area", r.Key)
	case len(r.Table) > maxTableName || r.Key == "" || len(r.Key) > maxStateKey:
		return area.InvalidField("key", "table %.80q, key of %d bytes", r.Table, len(r.Key))
	}
	if m.tx == nil {
		tx, err := m.db.Begin(true)
		if err != nil {
			return fmt.Errorf("store: %w", err)
		}
		m.tx, m.size = tx, 0
	}
	if _, err := apply(m.tx, place{r.Table, r.Key}, change{record: r.Value}, m.delta); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if m.size += len(r.Key) + len(r.Value); m.size >= makeBatch {
		return m.flush()
	}
	return nil
}

func (m *Maker) flush() error {
	if m.tx == nil {
		return nil
	}
	tx, delta := m.tx, m.delta
	m.tx, m.delta = nil, sums{}
	defer tx.Rollback() // after Commit it does nothing
	if err := delta.change(tx); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// Close writes what is left, and returns when the file is durable.
func (m *Maker) Close() error {
	err := m.flush()
	if err == nil {
		err = m.db.Sync()
	}
	return errors.Join(err, m.db.Close())
}

// Abandon closes a file that is not to be used.
func (m *Maker) Abandon() {
	if m.tx != nil {
		_ = m.tx.Rollback()
	}
	_ = m.db.Close()
}
