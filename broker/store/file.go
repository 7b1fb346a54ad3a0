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

// errDamaged says that a file is not one that this package can have written.
var errDamaged = errors.New("file is damaged")

// openFile opens or makes a file, and reads all of it once, so that damage
// shows now.
func openFile(path string) (*bolt.DB, *os.File, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := create(path); err != nil {
			return nil, nil, err
		}
	case err != nil:
		return nil, nil, err
	case !info.Mode().IsRegular():
		return nil, nil, errors.New("is not a regular file")
	case info.Size() == 0:
		return nil, nil, errDamaged // create never leaves one so
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, nil, err
	}
	db, file, err := openBolt(path)
	if err != nil {
		return nil, nil, err
	}
	err = guard(func() error { return db.View(check) })
	if err == nil {
		err = guard(func() error { return migrate(db) })
	}
	if err != nil {
		_ = db.Close()
		return nil, nil, err
	}
	return db, file, nil
}

// openBolt tells damage from trouble with the file system, which gets better
// by itself or by somebody's hand.
func openBolt(path string) (db *bolt.DB, file *os.File, err error) {
	err = guard(func() (err error) {
		db, err = bolt.Open(path, 0o600, &bolt.Options{
			Timeout: lockWait, FreelistType: bolt.FreelistMapType,
			OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
				var err error
				file, err = os.OpenFile(name, flag, mode)
				return file, err
			},
		})
		return err
	})
	if err == nil {
		return db, file, nil
	}
	if file != nil {
		_ = file.Close() // where bbolt has panicked it is still open, and locked
	}
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, nil, errors.New("is in use by another process")
	}
	if _, ok := errors.AsType[syscall.Errno](err); ok {
		return nil, nil, err
	}
	return nil, nil, fmt.Errorf("%w: %w", errDamaged, err)
}

// check reads the file through. Damaged records are no damage to the file.
func check(tx *bolt.Tx) error {
	format, err := formatOf(tx)
	if err != nil {
		return err
	}
	for _, name := range bucketsOf(format) {
		if tx.Bucket(name) == nil {
			return fmt.Errorf("%w: it lacks a part", errDamaged)
		}
	}
	return eachRecord(tx, func(p place, v []byte) error {
		_, _ = unseal(p, v) // for the reading alone: a page that is not there faults
		return nil
	})
}

// eachRecord calls f with every record as it lies in the file.
func eachRecord(tx *bolt.Tx, f func(p place, sealed []byte) error) error {
	err := tx.Bucket(ledgerBucket).ForEach(func(k, v []byte) error { return f(place{key: string(k)}, v) })
	tables := tx.Bucket(tablesBucket)
	if err != nil || tables == nil {
		return err
	}
	return tables.ForEachBucket(func(name []byte) error {
		return tables.Bucket(name).ForEach(func(k, v []byte) error { return f(place{string(name), string(k)}, v) })
	})
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
