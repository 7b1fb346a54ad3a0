package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/shared"
	"github.com/tacet-hub/tacet/broker/store"
)

// Why a data directory is not restored.
var (
	ErrNotEmpty = errors.New("the directory is not empty")
	ErrRunning  = errors.New("a hub runs on the directory")
)

// Target is where a backup is restored to, and how.
type Target struct {
	Data string
	// Force moves a directory that has something aside, to Data.before-TIME, and has
	// the restored records win where other nodes of the hub have newer ones.
	Force bool
	// Wait is for how long each area grants nothing at least, after the start, 0 to
	// 24 h; see [arbiter.Restored].
	Wait time.Duration
	Most int64 // bytes that the backup may hold; 0: MostBytes
	Now  time.Time
}

// Restored is what a restore has done.
type Restored struct {
	Manifest
	Aside string // where the old directory is now; empty: there was nothing in it
}

// Restore makes a data directory of a backup. It is the new one or the old one at
// any moment, also after a power cut, wherever the system can exchange two
// directories in one step (Linux can, on its own file systems). Its errors are those
// of [Verify], wrap [ErrNotEmpty] or [ErrRunning], or are the disk's; the target is
// as it was then. It blocks for the disk and for r.
func Restore(ctx context.Context, r io.Reader, to Target) (Restored, error) {
	data, err := filepath.Abs(to.Data)
	if err != nil {
		return Restored{}, err
	}
	to.Data = data
	full, err := occupied(data)
	if err != nil {
		return Restored{}, err
	}
	if full && !to.Force {
		return Restored{}, fmt.Errorf("%s: %w", data, ErrNotEmpty)
	}
	db := filepath.Join(data, storeName)
	release, err := store.Reserve(db)
	if errors.Is(err, store.ErrInUse) {
		return Restored{}, fmt.Errorf("%s: %w", data, ErrRunning)
	}
	if err != nil {
		return Restored{}, err
	}
	defer func() { _ = release() }() // nothing was written by it
	if err := os.MkdirAll(filepath.Dir(data), 0o700); err != nil {
		return Restored{}, err
	}
	staging, err := os.MkdirTemp(filepath.Dir(data), "."+filepath.Base(data)+".restore-*")
	if err != nil {
		return Restored{}, fmt.Errorf("a restored directory is made beside %s: %w", data, err)
	}
	defer os.RemoveAll(staging) // once it has taken its place there is nothing of that name
	m, err := stage(ctx, r, staging, to, full)
	if err != nil {
		return Restored{Manifest: m}, err
	}
	aside, err := swap(staging, data, full, to.Now)
	return Restored{Manifest: m, Aside: aside}, err
}

const storeName = "tacet.db"

// occupied tells whether a directory has anything in it.
func occupied(dir string) (bool, error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case !info.IsDir():
		return false, fmt.Errorf("%s is no directory", dir)
	}
	list, err := os.ReadDir(dir)
	return len(list) > 0, err
}

// stage makes the new directory, and returns when all of it is well and on the disk.
func stage(ctx context.Context, r io.Reader, staging string, to Target, full bool) (Manifest, error) {
	root, err := os.OpenRoot(staging)
	if err != nil {
		return Manifest{}, err
	}
	defer root.Close()
	made, err := store.Make(filepath.Join(staging, storeName))
	if err != nil {
		return Manifest{}, err
	}
	s := &stager{root: root, made: made, to: to, later: map[string][]byte{}}
	if full {
		err = s.readLater(filepath.Join(to.Data, storeName))
	}
	var m Manifest
	if err == nil {
		m, err = read(ctx, r, to.Most, s)
	}
	if err == nil {
		err = s.rest()
	}
	if err != nil {
		made.Abandon()
		return m, err
	}
	if err := made.Close(); err != nil {
		return m, err
	}
	return m, errors.Join(own(staging, to.Data), syncTree(staging))
}

// stager is the sink that makes a data directory.
type stager struct {
	root  *os.Root
	made  *store.Maker
	to    Target
	later map[string][]byte // records of the arbiters that the old directory has, by area
}

// readLater reads what the directory that makes room knows of the areas: it is newer
// than the backup. What of it cannot be read is not known.
func (s *stager) readLater(path string) error {
	_, err := store.ExportFile(path, func(r store.Record) error {
		if r.Table == "" {
			s.later[r.Key] = r.Value
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (s *stager) record(r store.Record) error {
	if r.Table != "" {
		return s.made.Put(r)
	}
	later := s.later[r.Key]
	delete(s.later, r.Key)
	return s.ledger(r.Key, r.Value, later)
}

// ledger puts the record of an area. One of the old directory that cannot be read is
// not known.
func (s *stager) ledger(area string, backup, later []byte) error {
	value, err := arbiter.Restored(backup, later, s.to.Wait)
	if err != nil && later != nil {
		value, err = arbiter.Restored(backup, nil, s.to.Wait)
	}
	if err != nil {
		return fmt.Errorf("area %s: %w", area, err)
	}
	return s.made.Put(store.Record{Key: area, Value: value})
}

// rest puts what is in no backup: the terms of areas that only the old directory
// knows, and that the restored records are to win.
func (s *stager) rest() error {
	for a, later := range s.later {
		if err := s.ledger(a, nil, later); err != nil {
			continue // nothing can be said of it
		}
	}
	if !s.to.Force {
		return nil
	}
	return s.made.Put(shared.Restored())
}

func (s *stager) file(name string, changed time.Time, r io.Reader) error {
	at := filepath.FromSlash(name)
	if err := s.root.MkdirAll(filepath.Dir(at), 0o700); err != nil {
		return err
	}
	f, err := s.root.OpenFile(at, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return s.root.Chtimes(at, changed, changed)
}

// syncTree makes the names in a directory last, and in all below it.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return syncDir(at)
	})
}
