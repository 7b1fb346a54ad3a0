package store

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	bolt "go.etcd.io/bbolt"
)

// fileFormat is the version of the file's buckets: 1 had the ledger alone, 2
// has tables as well.
const fileFormat = 2

var (
	metaBucket    = []byte("meta")
	formatKey     = []byte("format")
	ledgerBucket  = []byte("ledger")
	corruptBucket = []byte("corrupt") // damaged records of the ledger, by area, as they were found
	tablesBucket  = []byte("tables")  // a bucket in it for each table
	asideBucket   = []byte("aside")   // damaged records of tables as they were found, by table, 0, key
)

// bucketsOf is what a file of a format has.
func bucketsOf(format int) [][]byte {
	all := [][]byte{metaBucket, ledgerBucket, corruptBucket}
	if format >= 2 {
		all = append(all, tablesBucket, asideBucket)
	}
	return all
}

// formatOf is the format of a file that this version can read.
func formatOf(tx *bolt.Tx) (int, error) {
	meta := tx.Bucket(metaBucket)
	if meta == nil {
		return 0, fmt.Errorf("%w: it is not a store of tacet", errDamaged)
	}
	format, err := strconv.Atoi(string(meta.Get(formatKey)))
	if err != nil || format < 1 {
		return 0, fmt.Errorf("%w: it has no format", errDamaged)
	}
	if format > fileFormat {
		return 0, fmt.Errorf("has format %d, and this version reads up to %d: %w", format, fileFormat, errNewer)
	}
	return format, nil
}

// migrate brings an older file to this format, in one transaction.
func migrate(db *bolt.DB) error {
	old := false
	if err := db.View(func(tx *bolt.Tx) error {
		format, err := formatOf(tx)
		old = format < fileFormat
		return err
	}); err != nil || !old {
		return err
	}
	return db.Update(setFormat)
}

// setFormat makes the buckets that are missing, which is all that an older file
// lacks.
func setFormat(tx *bolt.Tx) error {
	for _, name := range bucketsOf(fileFormat) {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return tx.Bucket(metaBucket).Put(formatKey, []byte(strconv.Itoa(fileFormat)))
}

// sift sets every damaged record aside.
func (s *Store) sift() error {
	var damaged []place
	err := s.view(func(tx *bolt.Tx) error {
		return eachRecord(tx, func(p place, v []byte) error {
			if _, err := unseal(p, v); errors.Is(err, ErrCorrupt) {
				damaged = append(damaged, p)
			}
			return nil
		})
	})
	for _, p := range damaged {
		err = errors.Join(err, s.setAside(p))
	}
	return err
}

// setAside moves a damaged record out of the way, unless it has been replaced
// since.
func (s *Store) setAside(p place) error {
	return guard(func() error {
		return s.db.Update(func(tx *bolt.Tx) error {
			at, aside, key := tx.Bucket(ledgerBucket), tx.Bucket(corruptBucket), p.key
			if p.table != "" {
				at, aside, key = tx.Bucket(tablesBucket).Bucket([]byte(p.table)), tx.Bucket(asideBucket), p.table+"\x00"+p.key
			}
			v := at.Get([]byte(p.key))
			if _, err := unseal(p, v); v == nil || !errors.Is(err, ErrCorrupt) {
				return nil
			}
			s.count.corrupt.Add(1)
			if err := aside.Put([]byte(key), bytes.Clone(v)); err != nil {
				return err
			}
			return at.Delete([]byte(p.key))
		})
	})
}
