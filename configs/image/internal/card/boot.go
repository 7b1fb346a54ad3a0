package card

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"

	"github.com/diskfs/go-diskfs/backend"
	"github.com/diskfs/go-diskfs/filesystem/fat32"
)

// writeBoot makes the FAT32 file system and copies the files into it, in the
// order of their names: folders, which are all of the root, first.
func writeBoot(storage backend.Storage, f disk, files fs.FS) error {
	// The library dates files by its clock, or by this.
	if err := os.Setenv("SOURCE_DATE_EPOCH", strconv.Itoa(epoch)); err != nil {
		return err
	}
	fat, err := fat32.Create(storage, bootSize, bootStart, sector, "TACET", true)
	if err != nil {
		return err
	}
	if err := each(files, true, fat.Mkdir); err != nil {
		return err
	}
	if err := settleFolders(f, fat); err != nil {
		return err
	}
	if err := each(files, false, func(name string) error { return copyFile(fat, files, name) }); err != nil {
		return err
	}
	return fat.Close()
}

// each calls do for every folder, or for every file.
func each(files fs.FS, folders bool, do func(string) error) error {
	return fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." || d.IsDir() != folders {
			return err
		}
		if err := do(name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
}

// copyFile copies a file. One without a byte is refused: the library would give
// it a cluster, which is an error of the file system.
func copyFile(fat *fat32.FileSystem, files fs.FS, name string) error {
	in, err := files.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	if s, err := in.Stat(); err != nil || s.Size() == 0 {
		return errors.Join(err, errors.New("the file is empty"))
	}
	out, err := fat.OpenFile(name, os.O_CREATE|os.O_RDWR)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{out}, in, make([]byte, MiB))
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
