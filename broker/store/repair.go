package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// repair sets the damaged records of a file aside and makes the sums right, so
// that the damage is told once.
func (v *survey) repair(db *bolt.DB) error {
	return guard(func() error {
		return db.Update(func(tx *bolt.Tx) error {
			for _, p := range v.damaged {
				if _, err := moveRecord(tx, p); err != nil {
					return err
				}
			}
			return v.there(false).write(tx)
		})
	})
}

// refill puts what could be read of a damaged file into a new one.
func (v *survey) refill(db *bolt.DB) error {
	return db.Update(func(tx *bolt.Tx) error {
		kept := sums{}
		for _, p := range slices.SortedFunc(maps.Keys(v.records), inOrder) {
			sealed := v.records[p]
			if intact(p, sealed) != nil {
				continue
			}
			b, err := bucketOf(tx, p, true)
			if err != nil {
				return err
			}
			if err := b.Put([]byte(p.key), sealed); err != nil {
				return err
			}
			kept.add(p.table, sealed, 1)
		}
		return kept.write(tx)
	})
}

// moveRecord moves a damaged record out of the way, as it is.
func moveRecord(tx *bolt.Tx, p place) (sealed []byte, err error) {
	at, aside, key := tx.Bucket(ledgerBucket), tx.Bucket(corruptBucket), p.key
	if p.table != "" {
		at, aside, key = tx.Bucket(tablesBucket).Bucket([]byte(p.table)), tx.Bucket(asideBucket), p.table+"\x00"+p.key
	}
	v := at.Get([]byte(p.key))
	if v == nil {
		return nil, fmt.Errorf("%w: a record is none", errDamaged)
	}
	sealed = bytes.Clone(v)
	if err := aside.Put([]byte(key), sealed); err != nil {
		return nil, err
	}
	return sealed, at.Delete([]byte(p.key))
}

// setAside moves a record out of the way that was found damaged while the
// store is in use, unless it has been replaced since.
func (s *Store) setAside(p place) error {
	return guard(func() error {
		return s.db.Update(func(tx *bolt.Tx) error {
			b, err := bucketOf(tx, p, false)
			if b == nil || err != nil {
				return err
			}
			if err := intact(p, b.Get([]byte(p.key))); !errors.Is(err, ErrCorrupt) {
				return nil
			}
			sealed, err := moveRecord(tx, p)
			if err != nil {
				return err
			}
			s.count.corrupt.Add(1)
			delta := sums{}
			delta.add(p.table, sealed, -1)
			return delta.change(tx)
		})
	})
}
