package update

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// disk is the directory of the slots. Nothing that was written to a file is
// sure to be there after a loss of power before the file's Sync, and no name
// before the directory's.
type disk interface {
	Open(name string) (io.ReadCloser, error)
	// Append opens a file to be written to at its end, and makes it where it is
	// not there; it may be executed.
	Append(name string) (file, error)
	Rename(from, to string) error
	Remove(name string) error // nil where it is not there
	Sync() error
}

type file interface {
	io.WriteCloser
	Sync() error
}

// directory is a disk that is one.
type directory string

func (d directory) path(name string) string { return filepath.Join(string(d), name) }

func (d directory) Open(name string) (io.ReadCloser, error) { return os.Open(d.path(name)) }

func (d directory) Append(name string) (file, error) {
	return os.OpenFile(d.path(name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o700)
}

func (d directory) Rename(from, to string) error { return os.Rename(d.path(from), d.path(to)) }

func (d directory) Remove(name string) error {
	if err := os.Remove(d.path(name)); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// Sync makes the names last. Windows has no such call and does not need it.
func (d directory) Sync() error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(string(d))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// read reads a whole file of at most so many bytes.
func read(d disk, name string, most int64) ([]byte, error) {
	f, err := d.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

// replace writes a file so that after a loss of power it is the old one or the
// new one, whole.
func replace(d disk, name string, text []byte) error {
	fresh := name + ".new"
	if err := d.Remove(fresh); err != nil {
		return err
	}
	f, err := d.Append(fresh)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := d.Rename(fresh, name); err != nil {
		return err
	}
	return d.Sync()
}

// onDisk tells whether an error is the disk's.
func onDisk(err error) bool {
	_, path := errors.AsType[*os.PathError](err)
	_, link := errors.AsType[*os.LinkError](err)
	return path || link
}
