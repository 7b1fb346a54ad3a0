package store

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// A checksum finds a record that has changed, but not one that is no longer
// there: a flipped bit in the count of a page hides its last records. So the
// file also holds, for each table, how many records it has and the sum of their
// checksums, kept up to date by each transaction, on the page that it writes
// anyway.

var sumsKey = []byte("sums")

// sumsPlace is what the checksum of the sums covers.
var sumsPlace = place{table: "\x00meta", key: "sums"}

// sum is what a table should add up to.
type sum struct {
	records int64
	digest  uint64 // sum of the checksums of its records, modulo 2^64
}

// sums are those of all tables; the ledger's is under "". Also used for what a
// transaction changes.
type sums map[string]sum

// add counts a record as it lies in the file in, or out (sign -1).
func (m sums) add(table string, sealed []byte, sign int64) {
	s := m[table]
	s.records += sign
	if len(sealed) >= recordHead {
		s.digest += uint64(sign) * uint64(binary.BigEndian.Uint32(sealed[1:]))
	}
	m[table] = s
}

// change brings the sums in the file up to date.
func (m sums) change(tx *bolt.Tx) error {
	all, err := readSums(tx)
	if err != nil {
		return err
	}
	for table, s := range m {
		t := all[table]
		t.records += s.records
		t.digest += s.digest
		all[table] = t
	}
	return all.write(tx)
}

func (m sums) write(tx *bolt.Tx) error {
	var out []byte
	for _, table := range slices.Sorted(maps.Keys(m)) {
		out = binary.AppendUvarint(out, uint64(len(table)))
		out = append(out, table...)
		out = binary.BigEndian.AppendUint64(out, uint64(m[table].records))
		out = binary.BigEndian.AppendUint64(out, m[table].digest)
	}
	return tx.Bucket(metaBucket).Put(sumsKey, seal(sumsPlace, out))
}

func readSums(tx *bolt.Tx) (sums, error) {
	return decodeSums(tx.Bucket(metaBucket).Get(sumsKey))
}

func decodeSums(sealed []byte) (sums, error) {
	rest, err := unseal(sumsPlace, sealed)
	if err != nil {
		return nil, err
	}
	all := sums{}
	for len(rest) > 0 {
		n, k := binary.Uvarint(rest)
		if k <= 0 || uint64(len(rest)-k) < n+16 {
			return nil, errors.New("the sums are malformed")
		}
		name := string(rest[k : k+int(n)])
		rest = rest[k+int(n):]
		all[name] = sum{int64(binary.BigEndian.Uint64(rest)), binary.BigEndian.Uint64(rest[8:])}
		rest = rest[16:]
	}
	return all, nil
}

// missing is how many records of each table are not there. A table whose
// records are all there and do not add up has one that is not what it was.
func (m sums) missing(there sums, damaged map[string]int) map[string]int {
	out := map[string]int{}
	for table, want := range m {
		is := there[table]
		switch {
		case want.records > is.records:
			out[table] = int(want.records - is.records)
		case want != is && damaged[table] == 0:
			out[table] = 1
		}
	}
	return out
}
