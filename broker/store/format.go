package store

import (
	"strconv"

	bolt "go.etcd.io/bbolt"
)

// fileFormat is the version of the file's buckets: 1 had the ledger alone, 2
// has tables and sums as well.
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

// setFormat makes the buckets and the sums that are missing, which is all that
// an older file lacks.
func setFormat(tx *bolt.Tx) error {
	for _, name := range bucketsOf(fileFormat) {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	ledger := sums{}
	if err := tx.Bucket(ledgerBucket).ForEach(func(_, sealed []byte) error {
		ledger.add("", sealed, 1)
		return nil
	}); err != nil {
		return err
	}
	if err := ledger.write(tx); err != nil {
		return err
	}
	return tx.Bucket(metaBucket).Put(formatKey, []byte(strconv.Itoa(fileFormat)))
}
