package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// ErrCorrupt is the answer for a record that fails its checksum.
var ErrCorrupt = errors.New("record is corrupt")

// errNewer is the error for a record that this version cannot read.
var errNewer = errors.New("a newer tacet wrote it")

func newer(err error) bool { return errors.Is(err, errNewer) }

// recordFormat is the version of the layout below.
const recordFormat = 1

const recordHead = 5 // format, checksum

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal lays out a record: format (1 byte), CRC-32C of its place and the record
// (4 bytes, big endian), the record.
func seal(p place, record []byte) []byte {
	out := make([]byte, recordHead, recordHead+len(record))
	out[0] = recordFormat
	binary.BigEndian.PutUint32(out[1:], checksum(p, record))
	return append(out, record...)
}

// unseal is the inverse of seal. The answer is a copy. Its errors are those of
// intact.
func unseal(p place, sealed []byte) ([]byte, error) {
	if err := intact(p, sealed); err != nil {
		return nil, err
	}
	return append([]byte{}, sealed[recordHead:]...), nil
}

// intact checks a sealed record. Its error wraps ErrCorrupt, but for a record
// of a newer format.
func intact(p place, sealed []byte) error {
	if len(sealed) < recordHead || sealed[0] == 0 {
		return ErrCorrupt
	}
	want, sum := binary.BigEndian.Uint32(sealed[1:]), checksum(p, sealed[recordHead:])
	switch format := sealed[0]; {
	case format == recordFormat && sum == want:
		return nil
	case format > recordFormat && newerSum(sum, format) == want:
		return fmt.Errorf("record has format %d, and this version reads up to %d: %w", format, recordFormat, errNewer)
	}
	return ErrCorrupt
}

// newerSum is the checksum of records of later formats, which has to cover the
// format as well: else a flipped bit in it would look like one.
func newerSum(sum uint32, format byte) uint32 {
	return crc32.Update(sum, castagnoli, []byte{format})
}

// checksum covers the place, so that a record that has strayed is known by it.
// An area's name stands alone, as it did when the ledger was all there was.
func checksum(p place, record []byte) uint32 {
	sum := crc32.Checksum([]byte(p.key), castagnoli)
	if p.table != "" {
		sum = crc32.Update(crc32.Checksum([]byte(p.table+"\x00"), castagnoli), castagnoli, []byte(p.key+"\x00"))
	}
	return crc32.Update(sum, castagnoli, record)
}
