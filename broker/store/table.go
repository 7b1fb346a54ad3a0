package store

import (
	"bytes"
	"context"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/tacet-hub/tacet/broker/area"
)

const (
	maxKey       = 1024 // bytes of a key of a table
	maxTableName = 64   // bytes of the name of a table
)

// Table keeps small records by key. Two of the same name are the same table. It
// is safe for concurrent use.
type Table struct {
	s    *Store
	name string
}

// Table is the table of that name, 1 to 64 bytes; it exists from its first
// record on. The names are the program's own: a bad one panics.
func (s *Store) Table(name string) *Table {
	if name == "" || len(name) > maxTableName {
		panic("store: table name " + name)
	}
	return &Table{s: s, name: name}
}

// Load calls each with every record as it is on disk, in the order of the
// bytes of their keys, until it answers an error, which Load then returns as it
// is. The value is the callee's. Records that are damaged are left out; Open
// has set them aside and counted them ([Stats].Corrupt). It blocks for reading
// alone; the callback must not call the store.
func (t *Table) Load(each func(key string, value []byte) error) error {
	type record struct {
		key   string
		value []byte
	}
	var all []record
	err := t.s.view(func(tx *bolt.Tx) error {
		b := tx.Bucket(tablesBucket).Bucket([]byte(t.name))
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, v []byte) error {
			value, err := unseal(place{t.name, string(k)}, v)
			if err == nil {
				all = append(all, record{string(k), value})
			}
			if newer(err) {
				return fmt.Errorf("key %q: %w", k, err)
			}
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("store: table %s: %w", t.name, err)
	}
	for _, r := range all {
		if err := each(r.key, r.value); err != nil {
			return err
		}
	}
	return nil
}

// Put keeps a value, new or changed, and blocks until it is durable. The value,
// at most 1 MiB, is copied; the key has 1 to 1024 bytes.
//
// An error of code invalid, too_large, degraded (more than 65,536 callers wait)
// or draining means that nothing was written, one of code disk_full that
// nothing was and a later call may succeed. After any other error of the disk
// every later call fails as well, and what the disk holds is not known. Where
// ctx ends first its error is returned, and the value may become durable yet.
func (t *Table) Put(ctx context.Context, key string, value []byte) error {
	return t.wait(ctx, key, change{record: bytes.Clone(value)})
}

// Delete forgets a key, which need not be there, and blocks until that is
// durable. Its errors are those of Put.
func (t *Table) Delete(ctx context.Context, key string) error {
	return t.wait(ctx, key, change{deleted: true})
}

func (t *Table) wait(ctx context.Context, key string, ch change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	done := make(chan error, 1)
	t.change(key, ch, func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// PutAsync queues a value as Put does and returns. When it is durable, or is
// known not to be, done is called, once, with the error that Put would have
// answered: on the committer's goroutine, where it must only enqueue, or at
// once on the caller's where the value is refused. Changes of a key are told in
// their order; of several that wait the newest alone is written, and all are
// told.
func (t *Table) PutAsync(key string, value []byte, done func(error)) {
	t.change(key, change{record: bytes.Clone(value)}, done)
}

// DeleteAsync is to Delete what PutAsync is to Put.
func (t *Table) DeleteAsync(key string, done func(error)) {
	t.change(key, change{deleted: true}, done)
}

func (t *Table) change(key string, ch change, done func(error)) {
	if key == "" || len(key) > maxKey {
		t.s.count.refused.Add(1)
		done(area.InvalidField("key", "has %d bytes, which is not 1 to %d", len(key), maxKey))
		return
	}
	t.s.committer.change(place{t.name, key}, ch, done)
}
