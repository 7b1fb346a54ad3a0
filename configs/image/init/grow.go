package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The data partition, the second one, grows to the end of the card, but to no
// more than what its one block of descriptors can describe: 64 groups of 128 MiB.
const (
	sectorSize  = 512
	blockSize   = 4096
	mostSectors = 64 * 128 << 20 / sectorSize
	entryAt     = 446 + 16 // of the second partition in the table
	align       = 4 << 20 / sectorSize
)

// grow makes the data partition as large as the card lets it be, in the table and
// in the kernel's mind. The table is one sector: it is the old one or the new one
// whenever the power goes.
func grow(disk string) error {
	total, err := strconv.ParseUint(readText("/sys/block/"+disk+"/size"), 10, 64)
	if err != nil {
		return err
	}
	f, err := os.OpenFile("/dev/"+disk, os.O_RDWR|unix.O_SYNC, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	var table [sectorSize]byte
	if _, err := f.ReadAt(table[:], 0); err != nil {
		return err
	}
	start, now := binary.LittleEndian.Uint32(table[entryAt+8:]), binary.LittleEndian.Uint32(table[entryAt+12:])
	want := grown(uint64(start), uint64(now), total)
	if want == uint64(now) {
		return nil
	}
	binary.LittleEndian.PutUint32(table[entryAt+12:], uint32(want))
	if _, err := f.WriteAt(table[:], 0); err != nil {
		return err
	}
	say("the data partition grows from %d to %d MiB", now/2048, want/2048)
	return resizePartition(int(f.Fd()), 2, int64(start)*sectorSize, int64(want)*sectorSize)
}

// grown is how many sectors a partition should have that has now, on a disk of
// total sectors: never fewer.
func grown(start, now, total uint64) uint64 {
	if total <= start {
		return now
	}
	want := min(total-start, mostSectors) / align * align
	return max(want, now)
}

// resizePartition tells the kernel (BLKPG_RESIZE_PARTITION of linux/blkpg.h).
func resizePartition(fd, number int, start, length int64) error {
	const request, resize = 0x1269, 3
	type blkpgPartition struct {
		start, length int64
		number        int32
		_             [132]byte // names, which are not changed
	}
	type blkpg struct {
		op, flags, size int32
		_               int32
		data            *blkpgPartition
	}
	p := blkpgPartition{start: start, length: length, number: int32(number)}
	arg := blkpg{op: resize, size: int32(unsafe.Sizeof(p)), data: &p}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(&arg))); errno != 0 {
		return fmt.Errorf("BLKPG_RESIZE_PARTITION: %w", errno)
	}
	return nil
}

// growFiles makes the mounted file system as large as its partition, if it is
// not.
func growFiles(disk string) error {
	path := "/dev/" + partition(disk, 2)
	sectors, err := strconv.ParseUint(readText("/sys/class/block/"+partition(disk, 2)+"/size"), 10, 64)
	if err != nil {
		return err
	}
	blocks := sectors * sectorSize / blockSize
	if has, err := blocksOf(path); err != nil || has == blocks {
		return err
	}
	dir, err := os.Open(dataDir)
	if err != nil {
		return err
	}
	defer dir.Close()
	const resizeFS = 0x40086610 // EXT4_IOC_RESIZE_FS
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, dir.Fd(), resizeFS, uintptr(unsafe.Pointer(&blocks))); errno != 0 {
		return fmt.Errorf("EXT4_IOC_RESIZE_FS: %w", errno)
	}
	return nil
}

// blocksOf reads from its superblock how many blocks an ext4 file system has.
func blocksOf(path string) (uint64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var count [4]byte
	if _, err := f.ReadAt(count[:], 1024+4); err != nil {
		return 0, err
	}
	return uint64(binary.LittleEndian.Uint32(count[:])), nil
}
