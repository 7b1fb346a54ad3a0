package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// lockWait is how long Open waits for another process to let go of the file.
const lockWait = time.Second

// ErrInUse is the error for a file that another process has open.
var ErrInUse = errors.New("is in use by another process")

// errDamaged says that a file is not one that this package can have written.
var errDamaged = errors.New("file is damaged")

// opened is a file, and what was wrong with it.
type opened struct {
	db     *bolt.DB
	file   *os.File
	damage map[string]int
	aside  string // what a damaged file is called now; empty: the file is the one that was there
}

// openFile opens or makes a file, having read all of it. What is damaged is set
// aside: records within the file, a file whose structure is not well under
// another name, and then what could be read of it goes into a new one.
func openFile(path string) (opened, error) {
	var v survey
	err := prepare(path)
	if err == nil {
		v, err = surveyLocked(path)
	}
	switch {
	case errors.Is(err, errDamaged):
		return openNew(path, v)
	case err != nil:
		return opened{}, err
	}
	o, err := openBolt(path, false)
	if err != nil {
		return opened{}, err
	}
	o.damage = v.damage()
	if v.format < fileFormat {
		err = guard(func() error { return o.db.Update(setFormat) })
	}
	if err == nil && len(o.damage)+len(v.damaged) > 0 {
		err = v.repair(o.db)
	}
	if err != nil {
		_ = o.db.Close()
		return opened{}, err
	}
	return o, nil
}

// openNew takes a damaged file away.
func openNew(path string, v survey) (opened, error) {
	aside, err := moveAside(path)
	if err == nil {
		err = create(path)
	}
	if err != nil {
		return opened{}, err
	}
	o, err := openBolt(path, false)
	if err != nil {
		return opened{}, err
	}
	o.aside, o.damage = aside, v.damage()
	o.damage["file"] = 1
	if err := v.refill(o.db); err != nil {
		_ = o.db.Close()
		return opened{}, err
	}
	return o, nil
}

// prepare makes a file where there is none.
func prepare(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return create(path)
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("is not a regular file")
	case info.Size() == 0:
		return errDamaged // create never leaves one so
	}
	return os.Chmod(path, 0o600)
}

// surveyLocked reads a file while no other process can write to it.
func surveyLocked(path string) (survey, error) {
	lock, err := openBolt(path, true)
	if err != nil && !errors.Is(err, errDamaged) {
		return survey{}, err
	}
	if err == nil {
		defer lock.db.Close()
	}
	return surveyOf(path)
}

// openBolt tells damage from trouble with the file system, which gets better
// by itself or by somebody's hand. The list of free pages is made anew at each
// start: it needs no writing then, and cannot be damaged.
func openBolt(path string, readOnly bool) (o opened, err error) {
	err = guard(func() (err error) {
		o.db, err = bolt.Open(path, 0o600, &bolt.Options{
			Timeout: lockWait, FreelistType: bolt.FreelistMapType, NoFreelistSync: true, ReadOnly: readOnly,
			OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
				var err error
				o.file, err = os.OpenFile(name, flag, mode)
				return o.file, err
			},
		})
		return err
	})
	if err == nil {
		return o, nil
	}
	if o.file != nil {
		_ = o.file.Close() // where bbolt has panicked it is still open, and locked
	}
	if errors.Is(err, berrors.ErrTimeout) {
		return o, ErrInUse
	}
	if _, ok := errors.AsType[syscall.Errno](err); ok {
		return o, err
	}
	return o, fmt.Errorf("%w: %w", errDamaged, err)
}

// create makes an empty file under another name and gives it its own when it
// is whole, so that a crash leaves no half of one.
func create(path string) error {
	tmp := path + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	db, err := bolt.Open(tmp, 0o600, &bolt.Options{Timeout: lockWait, NoStatistics: true})
	if err != nil {
		return err
	}
	err = db.Update(setFormat)
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	return rename(tmp, path)
}

// moveAside renames a damaged file to a name that is free.
func moveAside(path string) (string, error) {
	for n := 1; ; n++ {
		aside := path + ".corrupt"
		if n > 1 {
			aside += "-" + strconv.Itoa(n)
		}
		if _, err := os.Lstat(aside); !errors.Is(err, fs.ErrNotExist) {
			if err != nil {
				return "", err
			}
			continue
		}
		return aside, rename(path, aside)
	}
}

// rename is durable when it returns.
func rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// guard turns a panic of bbolt, and a fault of its memory map, into an error:
// that is how it meets damage.
func guard(f func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errDamaged, r)
		}
	}()
	return f()
}
