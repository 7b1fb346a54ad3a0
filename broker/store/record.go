package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/tacet-hub/tacet/broker/area"
)

// ErrCorrupt is the answer for a record that fails its checksum.
var ErrCorrupt = errors.New("record is corrupt")

// recordFormat is the version of the layout below.
const recordFormat = 1

const recordHead = 5 // format, checksum

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal lays out a record: format (1 byte), CRC-32C of the area's name and the
// record (4 bytes, big endian), the record.
func seal(a area.Name, record []byte) []byte {
	out := make([]byte, recordHead, recordHead+len(record))
	out[0] = recordFormat
	binary.BigEndian.PutUint32(out[1:], checksum(a, record))
	return append(out, record...)
}

// unseal is the inverse of seal. The answer is a copy. Its error wraps
// ErrCorrupt, but for a record of a newer format.
func unseal(a area.Name, sealed []byte) ([]byte, error) {
	if len(sealed) < recordHead || sealed[0] == 0 {
		return nil, ErrCorrupt
	}
	if sealed[0] > recordFormat {
		return nil, fmt.Errorf("record has format %d, and this version reads up to %d: a newer tacet wrote it", sealed[0], recordFormat)
	}
	record := append([]byte{}, sealed[recordHead:]...)
	if binary.BigEndian.Uint32(sealed[1:]) != checksum(a, record) {
		return nil, ErrCorrupt
	}
	return record, nil
}

func checksum(a area.Name, record []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte(a), castagnoli), castagnoli, record)
}
