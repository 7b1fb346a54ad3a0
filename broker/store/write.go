package store

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// writeGroup is a transaction of bbolt. What is on disk already is not written
// again, and a group that changes nothing costs no write at all: the card that
// a hub keeps its state on wears out.
func (s *Store) writeGroup(g *group) error {
	if len(g.changes) == 0 {
		return nil
	}
	if err := s.space.reserve(s.db, g); err != nil {
		return err
	}
	tx, err := s.db.Begin(true)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit it does nothing
	n, size, delta := 0, 0, sums{}
	for _, p := range slices.SortedFunc(maps.Keys(g.changes), inOrder) { // neighbours share pages
		changed, err := apply(tx, p, g.changes[p], delta)
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		if changed {
			n++
			size += len(g.changes[p].record)
		}
	}
	if n == 0 {
		return nil
	}
	if err := delta.change(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	s.count.groups.Add(1)
	s.count.written.Add(int64(n))
	s.count.bytes.Add(int64(size))
	return nil
}

func inOrder(x, y place) int {
	return cmp.Or(cmp.Compare(x.table, y.table), cmp.Compare(x.key, y.key))
}

// apply makes a change, and tells whether it was one.
func apply(tx *bolt.Tx, p place, ch change, delta sums) (changed bool, err error) {
	b, err := bucketOf(tx, p, !ch.deleted)
	if b == nil || err != nil {
		return false, err
	}
	key := []byte(p.key)
	old := b.Get(key)
	sealed := seal(p, ch.record)
	if ch.deleted && old == nil || !ch.deleted && old != nil && bytes.Equal(old, sealed) {
		return false, nil
	}
	if old != nil {
		delta.add(p.table, old, -1)
	}
	if ch.deleted {
		return true, b.Delete(key)
	}
	delta.add(p.table, sealed, 1)
	return true, b.Put(key, sealed)
}

// bucketOf is the bucket of a place, which a table has from its first record
// on; nil where it has none and none is to be made.
func bucketOf(tx *bolt.Tx, p place, make bool) (*bolt.Bucket, error) {
	if p.table == "" {
		return tx.Bucket(ledgerBucket), nil
	}
	tables := tx.Bucket(tablesBucket)
	if b := tables.Bucket([]byte(p.table)); b != nil || !make {
		return b, nil
	}
	return tables.CreateBucket([]byte(p.table))
}
