package card

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/partition/mbr"
)

// The layout. Partitions begin on 4 MiB, the erase block of common cards. The
// image is as long as its Size, which is a power of two, as QEMU wants its cards.
const (
	MiB       = 1 << 20
	sector    = 512
	bootStart = 4 * MiB
	bootSize  = 128 * MiB
	dataStart = bootStart + bootSize
	MinSize   = 256 * MiB // smallest Size
	MaxSize   = 8192 * MiB
)

// Signature is the disk's in the partition table: the program that boots knows
// its card by it, wherever the card is plugged in.
const Signature uint32 = 0x54414345 // "TACE"

// epoch is the time of everything in the image, 2026-01-01, in Unix seconds.
const epoch = 1767225600

// Config is a card.
type Config struct {
	Size int64 // bytes, a power of two, MinSize to MaxSize; 0 is MinSize
	// Boot is the files of the boot partition by their names, in folders of the
	// root at most: "overlays/w1-gpio.dtbo".
	Boot map[string][]byte
}

func (c Config) size() int64 {
	if c.Size == 0 {
		return MinSize
	}
	return c.Size
}

// Validate tells what is wrong with c.
func (c Config) Validate() error {
	var faults []error
	if s := c.size(); s < MinSize || s > MaxSize || s&(s-1) != 0 {
		faults = append(faults, fmt.Errorf("size %d MiB is not a power of two from %d to %d", s/MiB, MinSize/MiB, MaxSize/MiB))
	}
	if len(c.Boot) == 0 {
		faults = append(faults, errors.New("there are no files to boot from"))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Boot)) {
		if strings.Count(name, "/") > 1 || !fs.ValidPath(name) {
			faults = append(faults, fmt.Errorf("%q is no file of the root or of a folder in it", name))
		}
		if len(c.Boot[name]) == 0 {
			// The library would give it a cluster, which is an error of the file system.
			faults = append(faults, fmt.Errorf("%s: the file is empty", name))
		}
	}
	return errors.Join(faults...)
}

// Write makes the image at path, which it replaces when it is whole; what was
// there stays if it fails. The image's holes take no space on the disk.
func Write(path string, c Config) error {
	if err := c.Validate(); err != nil {
		return fmt.Errorf("card: %w", err)
	}
	part := path + ".part"
	f, err := os.Create(part)
	if err != nil {
		return err
	}
	defer os.Remove(part)
	defer f.Close()
	if err = f.Truncate(c.size()); err == nil {
		err = write(f, c)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("card: %w", err)
	}
	return os.Rename(part, path)
}

func write(f *os.File, c Config) error {
	table := &mbr.Table{LogicalSectorSize: sector, PhysicalSectorSize: sector, Partitions: []*mbr.Partition{
		{Index: 1, Bootable: true, Type: mbr.Fat32LBA, Start: bootStart / sector, Size: bootSize / sector},
		{Index: 2, Type: mbr.Linux, Start: dataStart / sector, Size: uint32((c.size() - dataStart) / sector)},
	}}
	if err := table.Write(f, c.size()); err != nil {
		return fmt.Errorf("partition table: %w", err)
	}
	if _, err := f.WriteAt(binary.LittleEndian.AppendUint32(nil, Signature), 440); err != nil {
		return err
	}
	storage := file.New(f, false)
	if err := writeBoot(storage, f, c.Boot); err != nil {
		return fmt.Errorf("boot partition: %w", err)
	}
	if err := writeData(storage, f, c.size()-dataStart); err != nil {
		return fmt.Errorf("data partition: %w", err)
	}
	return nil
}
