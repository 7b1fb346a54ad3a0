package card

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"

	"github.com/diskfs/go-diskfs/backend"
	"github.com/diskfs/go-diskfs/filesystem/fat32"
)

// writeBoot makes the FAT32 file system and writes the files into it, in the
// order of their names: folders, which are all of the root, first.
func writeBoot(storage backend.Storage, f disk, files map[string][]byte) error {
	// The library dates files by its clock, or by this.
	if err := os.Setenv("SOURCE_DATE_EPOCH", strconv.Itoa(epoch)); err != nil {
		return err
	}
	fat, err := fat32.Create(storage, bootSize, bootStart, sector, "TACET", true)
	if err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(files))
	made := map[string]bool{".": true}
	for _, name := range names {
		if dir := path.Dir(name); !made[dir] {
			if err := fat.Mkdir(dir); err != nil {
				return fmt.Errorf("%s: %w", dir, err)
			}
			made[dir] = true
		}
	}
	if err := settleFolders(f, fat); err != nil {
		return err
	}
	for _, name := range names {
		if err := writeFile(fat, name, files[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return fat.Close()
}

func writeFile(fat *fat32.FileSystem, name string, data []byte) error {
	out, err := fat.OpenFile(name, os.O_CREATE|os.O_RDWR)
	if err != nil {
		return err
	}
	_, err = out.Write(data)
	return errors.Join(err, out.Close())
}

// settleFolders makes the way up out of each folder of the root what it must be,
// cluster 0 (Microsoft FAT specification, "Directory creation"); the library
// writes the root's own cluster. The folders are the first that the root has.
func settleFolders(f disk, fat *fat32.FileSystem) error {
	const (
		entry, attributes, folder = 32, 11, 0x10
		high, low                 = 20, 26 // halves of the first cluster
	)
	data := fat.Start() + int64(fat.DataStart())
	root := make([]byte, fat.BytesPerCluster())
	if _, err := f.ReadAt(root, data); err != nil {
		return err
	}
	for ; len(root) >= entry && root[0] != 0; root = root[entry:] {
		if root[attributes] != folder {
			continue
		}
		cluster := int64(binary.LittleEndian.Uint16(root[high:]))<<16 | int64(binary.LittleEndian.Uint16(root[low:]))
		up := data + (cluster-2)*int64(fat.BytesPerCluster()) + entry
		for _, half := range []int64{high, low} {
			if _, err := f.WriteAt([]byte{0, 0}, up+half); err != nil {
				return err
			}
		}
	}
	return nil
}
