package card

import (
	"encoding/binary"
	"io"

	"github.com/diskfs/go-diskfs/backend"
	"github.com/diskfs/go-diskfs/filesystem/ext4"
	"github.com/google/uuid"
)

// The data partition's geometry: ext4's usual one.
const (
	block         = 4096
	blocksInGroup = 8 * block
)

// dataID and hashSeed are fixed: a card is known by its place, not by them, and
// the same input makes the same image.
var (
	dataID   = uuid.UUID{0x74, 0x61, 0x63, 0x65, 0x74, 0x2d, 0x40, 0x64, 0x81, 0x74, 0x61, 0x2d, 0x31, 0x00, 0x00, 0x01}
	hashSeed = uuid.UUID{0x74, 0x61, 0x63, 0x65, 0x74, 0x2d, 0x40, 0x68, 0x81, 0x73, 0x68, 0x2d, 0x31, 0x00, 0x00, 0x01}
)

// disk is the image as bytes.
type disk interface {
	io.ReaderAt
	io.WriterAt
}

// writeData makes the ext4 file system. It reserves no descriptors for growth:
// the library's are not as fsck wants them, and without them the file system can
// still grow within the first block of descriptors, to 8 GiB.
func writeData(storage backend.Storage, f disk, size int64) error {
	_, err := ext4.Create(storage, size, dataStart, sector, &ext4.Params{
		UUID: &dataID, VolumeName: "tacet-data", SectorsPerBlock: block / sector,
		Features: []ext4.FeatureOpt{ext4.WithFeatureReservedGDTBlocksForExpansion(false)},
	})
	if err != nil {
		return err
	}
	return settle(f, size)
}

// settle puts the epoch and the fixed seed where the library put its clock and a
// random number: in each copy of the superblock and in the inodes that it made
// (ext4, Documentation/filesystems/ext4/super.rst and inodes.rst).
func settle(f disk, size int64) error {
	for group := int64(0); group*blocksInGroup*block < size; group++ {
		if !hasSuperblock(group) {
			continue
		}
		at := dataStart + group*blocksInGroup*block
		if group == 0 {
			at += 1024
		}
		for _, field := range []int64{0x2c, 0x30, 0x40, 0x108} { // mounted, written, checked, made
			if err := put32(f, at+field, epoch); err != nil {
				return err
			}
		}
		if _, err := f.WriteAt(hashSeed[:], at+0xec); err != nil {
			return err
		}
	}
	return settleInodes(f)
}

// hasSuperblock tells whether a group begins with a copy of the superblock: the
// first two, and the powers of 3, 5 and 7.
func hasSuperblock(group int64) bool {
	if group <= 1 {
		return true
	}
	for _, base := range []int64{3, 5, 7} {
		n := base
		for n < group {
			n *= base
		}
		if n == group {
			return true
		}
	}
	return false
}

func settleInodes(f disk) error {
	var b [4]byte
	if _, err := f.ReadAt(b[:], dataStart+block+8); err != nil { // the first descriptor: where the inodes are
		return err
	}
	table := dataStart + int64(binary.LittleEndian.Uint32(b[:]))*block
	const inodeSize, root, journal = 256, 2, 8
	for _, n := range []int64{root, journal} {
		at := table + (n-1)*inodeSize
		for _, field := range []int64{0x08, 0x0c, 0x10, 0x90} { // read, changed, written, made
			if err := put32(f, at+field, epoch); err != nil {
				return err
			}
		}
		for _, field := range []int64{0x84, 0x88, 0x8c, 0x94} { // their nanoseconds
			if err := put32(f, at+field, 0); err != nil {
				return err
			}
		}
		for _, half := range []int64{0x7c, 0x82} { // of a checksum, which this file system has not
			if _, err := f.WriteAt([]byte{0, 0}, at+half); err != nil {
				return err
			}
		}
	}
	return nil
}

func put32(f disk, at int64, v uint32) error {
	_, err := f.WriteAt(binary.LittleEndian.AppendUint32(nil, v), at)
	return err
}
