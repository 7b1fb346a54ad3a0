package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// signature is what tacet-image writes in the partition table.
const signature uint32 = 0x54414345

const (
	cardWait = 60 * time.Second // for the card to be there
	cardPoll = 50 * time.Millisecond
)

// mountKernel mounts what the kernel shows of itself.
func mountKernel() {
	for _, m := range []struct {
		what, where, kind string
		flags             uintptr
		data              string
	}{
		{"proc", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"sysfs", "/sys", "sysfs", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"devtmpfs", "/dev", "devtmpfs", unix.MS_NOSUID, "mode=755"},
		{"tmpfs", "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=755,size=16m"},
		{"tmpfs", "/tmp", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777,size=64m"},
		{"configfs", "/sys/kernel/config", "configfs", 0, ""},
	} {
		if err := unix.Mount(m.what, m.where, m.kind, m.flags, m.data); err != nil && !errors.Is(err, unix.EBUSY) && m.what != "configfs" {
			say("%s cannot be mounted: %v", m.where, err)
		}
	}
}

// findCard waits for the disk that has our signature, and answers its name, such
// as mmcblk0. A disk that is partitioned differently is none.
func findCard(until time.Time) (string, error) {
	for {
		disks, _ := filepath.Glob("/sys/block/*")
		for _, path := range disks {
			name := filepath.Base(path)
			if isCard("/dev/"+name) && exists("/dev/"+partition(name, 2)) {
				return name, nil
			}
		}
		if time.Now().After(until) {
			return "", fmt.Errorf("no disk of %d has the signature %08x", len(disks), signature)
		}
		time.Sleep(cardPoll)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func isCard(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var b [512]byte
	if _, err := f.ReadAt(b[:], 0); err != nil {
		return false
	}
	return binary.LittleEndian.Uint32(b[440:]) == signature && b[510] == 0x55 && b[511] == 0xaa
}

// partition is the name of a disk's partition: sda2, mmcblk0p2.
func partition(disk string, n int) string {
	if last := disk[len(disk)-1]; last >= '0' && last <= '9' {
		return fmt.Sprintf("%sp%d", disk, n)
	}
	return fmt.Sprintf("%s%d", disk, n)
}

// mountBoot mounts the boot partition, read only, so that a power cut leaves it
// alone: the device makes it writable for the moment in which it takes a code that
// was traded out of tacet.yaml.
func mountBoot(disk string) error {
	const flags = unix.MS_RDONLY | unix.MS_NOATIME | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	return unix.Mount("/dev/"+partition(disk, 1), bootDir, "vfat", flags, "utf8,umask=077")
}

// mountData mounts the data partition, which has the rest of the card by then.
// Where it cannot be, memory takes its place: the device lives, and says so.
func mountData(disk string) error {
	err := errors.New("there is no card")
	if disk != "" {
		if err := grow(disk); err != nil {
			say("the data partition stays as large as it was: %v", err)
		}
		const flags = unix.MS_NOATIME | unix.MS_NOSUID | unix.MS_NODEV
		if err = unix.Mount("/dev/"+partition(disk, 2), dataDir, "ext4", flags, "errors=remount-ro,commit=30"); err == nil {
			if err := growFiles(disk); err != nil {
				say("the file system stays as large as it was: %v", err)
			}
			return nil
		}
	}
	return errors.Join(err, unix.Mount("tmpfs", dataDir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=700,size=128m"))
}
