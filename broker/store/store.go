package store

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"

	"github.com/tacet-hub/tacet/broker/area"
)

// Store is an open file. It is safe for concurrent use.
type Store struct {
	db          *bolt.DB
	path        string
	quarantined string
	damage      map[string]int
	count       counters
	space       space // the committer's, once it runs
	committer   *committer

	running   sync.WaitGroup // the committer
	closeOnce sync.Once
	closeErr  error
}

// Open opens the file, or makes it and its directory. It blocks for a second
// where another process has the file. A file that is damaged is renamed aside,
// and what can be read of it goes into a new one: see [Store.Quarantined] and
// [Store.Damage].
func Open(path string) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	o, err := openFile(path)
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", path, err)
	}
	s := &Store{db: o.db, path: path, quarantined: o.aside, damage: o.damage, space: space{file: o.file}}
	for _, n := range s.damage {
		s.count.corrupt.Add(int64(n))
	}
	s.committer = newCommitter(&s.count, s.writeGroup, room{
		ahead: func() (int64, error) { return s.space.ahead(s.db) },
		left:  func() int64 { return bytesLeft(filepath.Dir(path)) },
	})
	s.committer.lookAhead()
	s.running.Go(s.committer.run)
	return s, nil
}

// Quarantined is the name that a damaged file was given by Open, empty where
// the file was well. Not all that it held is here: somebody must look.
func (s *Store) Quarantined() string { return s.quarantined }

// Damage is how many records Open has found damaged or missing, by table; "file"
// stands for a file that was quarantined, "root" for one that may lack its last
// change, "sums" for the record of what should be there. Empty: all was well. What was damaged is kept aside, in the file or
// in the quarantined one.
func (s *Store) Damage() map[string]int { return maps.Clone(s.damage) }

// Ledger is the ledger of the arbiters.
func (s *Store) Ledger() *Ledger { return &Ledger{s} }

// Close commits what is queued and closes the file. It waits for both, and is
// harmless when called again.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.committer.stop()
		s.running.Wait()
		free := s.db.Close
		if errors.Is(s.committer.failed, errDamaged) {
			free = s.space.file.Close // bbolt has panicked in a write, and may hold its lock for ever
		}
		if err := free(); err != nil {
			s.closeErr = fmt.Errorf("store: close: %w", err)
		}
	})
	return s.closeErr
}

// Stats are counts since Open.
type Stats struct {
	Commits   int64 // changes handed in
	Groups    int64 // transactions written
	Written   int64 // records written: what is on disk already is not written again
	Bytes     int64 // of those records
	Coalesced int64 // changes that a newer one of the same record replaced in the queue
	Refused   int64 // changes refused: the queue is full, or they are malformed
	Failed    int64 // changes that are not on disk
	Corrupt   int64 // records found damaged or missing; where an area's name is damaged too, it looks like one without a record

	DiskFull  int   // 1 while there is no room
	Dead      int   // 1 once a write has failed for good
	FileBytes int64 // size of the file now
}

type counters struct{ commits, groups, written, bytes, coalesced, refused, failed, corrupt atomic.Int64 }

// Stats answers the counts.
func (s *Store) Stats() Stats {
	c := &s.count
	st := Stats{
		Commits: c.commits.Load(), Groups: c.groups.Load(), Written: c.written.Load(), Bytes: c.bytes.Load(), Coalesced: c.coalesced.Load(),
		Refused: c.refused.Load(), Failed: c.failed.Load(), Corrupt: c.corrupt.Load(),
	}
	if err := s.Trouble(); area.CodeOf(err) == area.CodeDiskFull {
		st.DiskFull = 1
	} else if err != nil {
		st.Dead = 1
	}
	if info, err := os.Stat(s.path); err == nil {
		st.FileBytes = info.Size()
	}
	return st
}

// Trouble says why nothing can be written now: an error of code disk_full,
// which passes, or what has ended writing for good, until the store is opened
// anew. Nil: all is well. A little is kept back from a disk that runs full: so
// changes of the ledger and of tables may succeed for a while yet.
func (s *Store) Trouble() error {
	if err := s.committer.sick.Load(); err != nil {
		return *err
	}
	return nil
}

func (s *Store) view(f func(*bolt.Tx) error) error {
	return guard(func() error { return s.db.View(f) })
}
