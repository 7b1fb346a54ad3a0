package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/tacet-hub/tacet/broker/area"
)

// fileFormat is the version of the file's buckets.
const fileFormat = 1

// lockWait is how long Open waits for another process to let go of the file.
const lockWait = time.Second

var (
	metaBucket    = []byte("meta")
	formatKey     = []byte("format")
	ledgerBucket  = []byte("ledger")
	corruptBucket = []byte("corrupt") // damaged records of the ledger, by area, as they were found
)

// Store is an open file. It is safe for concurrent use.
type Store struct {
	db          *bolt.DB
	path        string
	quarantined string
	ledger      Ledger
	count       counters

	committer sync.WaitGroup
	closeOnce sync.Once
	closeErr  error
}

// Open opens the file, or makes it and its directory. It blocks for a second
// where another process has the file. A file that is damaged is renamed aside
// and an empty one takes its place: see [Store.Quarantined].
func Open(path string) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	db, err := openFile(path)
	aside := ""
	if errors.Is(err, errDamaged) {
		if aside, err = moveAside(path); err == nil {
			db, err = openFile(path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", path, err)
	}
	s := &Store{db: db, path: path, quarantined: aside}
	s.ledger.s = s
	if err := s.ledger.sift(); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("store: %s: %w", path, err)
	}
	s.ledger.start()
	return s, nil
}

// Quarantined is the name that a damaged file was given by Open, empty where
// the file was well. What it held is lost to the hub: somebody must look.
func (s *Store) Quarantined() string { return s.quarantined }

// Ledger is the ledger of the arbiters.
func (s *Store) Ledger() *Ledger { return &s.ledger }

// Close commits what is queued and closes the file. It waits for both, and is
// harmless when called again.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.ledger.stop()
		s.committer.Wait()
		if err := s.db.Close(); err != nil {
			s.closeErr = fmt.Errorf("store: close: %w", err)
		}
	})
	return s.closeErr
}

// Stats are counts since Open.
type Stats struct {
	Commits   int64 // records handed in
	Groups    int64 // transactions written
	Coalesced int64 // records that a newer one of the same area replaced in the queue
	Refused   int64 // records refused since the queue was full
	Failed    int64 // records that are not on disk
	Corrupt   int64 // damaged records found; where the name is damaged too, its area looks like one without a record
}

type counters struct{ commits, groups, coalesced, refused, failed, corrupt atomic.Int64 }

// Stats answers the counts.
func (s *Store) Stats() Stats {
	c := &s.count
	return Stats{
		Commits: c.commits.Load(), Groups: c.groups.Load(), Coalesced: c.coalesced.Load(),
		Refused: c.refused.Load(), Failed: c.failed.Load(), Corrupt: c.corrupt.Load(),
	}
}

// errDamaged says that a file is not one that this package can have written.
var errDamaged = errors.New("file is damaged")

// openFile opens or makes a file, and reads all of it once, so that damage
// shows now.
func openFile(path string) (*bolt.DB, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := create(path); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("is not a regular file")
	case info.Size() == 0:
		return nil, errDamaged // create never leaves one so
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, err
	}
	db, err := openBolt(path)
	if err != nil {
		return nil, err
	}
	if err := guard(func() error { return db.View(check) }); err != nil {
		_ = db.Close()
		return nil, err
	}
	return db, nil
}

// openBolt tells damage from trouble with the file system, which gets better
// by itself or by somebody's hand.
func openBolt(path string) (db *bolt.DB, err error) {
	var file *os.File
	err = guard(func() (err error) {
		db, err = bolt.Open(path, 0o600, &bolt.Options{
			Timeout: lockWait, FreelistType: bolt.FreelistMapType, NoStatistics: true,
			OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
				var err error
				file, err = os.OpenFile(name, flag, mode)
				return file, err
			},
		})
		return err
	})
	if err == nil {
		return db, nil
	}
	if file != nil {
		_ = file.Close() // where bbolt has panicked it is still open, and locked
	}
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, errors.New("is in use by another process")
	}
	if _, ok := errors.AsType[syscall.Errno](err); ok {
		return nil, err
	}
	return nil, fmt.Errorf("%w: %w", errDamaged, err)
}

// check reads the file through. Damaged records are no damage to the file.
func check(tx *bolt.Tx) error {
	meta, ledger := tx.Bucket(metaBucket), tx.Bucket(ledgerBucket)
	if meta == nil || ledger == nil || tx.Bucket(corruptBucket) == nil {
		return fmt.Errorf("%w: it is not a store of tacet", errDamaged)
	}
	format, err := strconv.Atoi(string(meta.Get(formatKey)))
	if err != nil || format < 1 {
		return fmt.Errorf("%w: it has no format", errDamaged)
	}
	if format > fileFormat {
		return fmt.Errorf("has format %d, and this version reads up to %d: a newer tacet wrote it", format, fileFormat)
	}
	return ledger.ForEach(func(k, v []byte) error {
		_, _ = unseal(area.Name(k), v) // for the reading alone: a page that is not there faults
		return nil
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
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{metaBucket, ledgerBucket, corruptBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return tx.Bucket(metaBucket).Put(formatKey, []byte(strconv.Itoa(fileFormat)))
	})
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
