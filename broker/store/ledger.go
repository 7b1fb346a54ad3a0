package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"syscall"

	bolt "go.etcd.io/bbolt"

	"github.com/tacet-hub/tacet/broker/area"
)

const (
	maxRecord = 1 << 20 // bytes of one record
	maxQueued = 1 << 16 // callers that may wait for a commit
)

// Ledger keeps one record per area. It is safe for concurrent use.
type Ledger struct {
	s     *Store
	write func(map[area.Name][]byte) error // one transaction

	mu     sync.Mutex
	queue  map[area.Name][]byte // newest record of each area
	done   []func(error)        // in the order of their commits; bounded by maxQueued
	closed bool
	wake   chan struct{} // holds one: there is work, or the end
}

// start starts the committer, which belongs to the store.
func (l *Ledger) start() {
	l.write = l.s.writeLedger
	l.queue, l.wake = map[area.Name][]byte{}, make(chan struct{}, 1)
	l.s.committer.Go(l.run)
}

// stop lets the committer finish what is queued and end.
func (l *Ledger) stop() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.signal()
}

// Areas lists the areas that have a record, damaged ones included, in the
// order of their names. A name that is itself damaged past being one is left
// out.
func (l *Ledger) Areas() ([]area.Name, error) {
	var out []area.Name
	err := l.view(func(tx *bolt.Tx) error {
		good, bad := tx.Bucket(ledgerBucket).Cursor(), tx.Bucket(corruptBucket).Cursor()
		g, _ := good.First()
		b, _ := bad.First()
		for g != nil || b != nil {
			switch {
			case b == nil || g != nil && bytes.Compare(g, b) < 0:
				out = append(out, area.Name(g))
				g, _ = good.Next()
			case g == nil || bytes.Compare(b, g) < 0:
				out = append(out, area.Name(b))
				b, _ = bad.Next()
			default:
				b, _ = bad.Next()
			}
		}
		return nil
	})
	return slices.DeleteFunc(out, func(a area.Name) bool { return !area.IsID(string(a)) }), err
}

// Load reads the record of an area as it is on disk: nil and no error where
// there is none. A damaged one is moved aside, and the error wraps [ErrCorrupt]
// from then on, until a new record is committed. The answer is the caller's.
func (l *Ledger) Load(a area.Name) ([]byte, error) {
	var record []byte
	damaged := false
	err := l.view(func(tx *bolt.Tx) error {
		v := tx.Bucket(ledgerBucket).Get([]byte(a))
		if v == nil {
			if tx.Bucket(corruptBucket).Get([]byte(a)) != nil {
				return ErrCorrupt
			}
			return nil
		}
		var err error
		record, err = unseal(a, v)
		damaged = errors.Is(err, ErrCorrupt)
		return err
	})
	if damaged {
		err = errors.Join(err, l.setAside(a))
	}
	if err != nil {
		return nil, fmt.Errorf("store: area %s: %w", a, err)
	}
	return record, nil
}

// sift sets every damaged record aside.
func (l *Ledger) sift() error {
	var damaged []area.Name
	err := l.view(func(tx *bolt.Tx) error {
		return tx.Bucket(ledgerBucket).ForEach(func(k, v []byte) error {
			if _, err := unseal(area.Name(k), v); errors.Is(err, ErrCorrupt) {
				damaged = append(damaged, area.Name(k))
			}
			return nil
		})
	})
	for _, a := range damaged {
		err = errors.Join(err, l.setAside(a))
	}
	return err
}

// setAside moves a damaged record out of the way, unless it has been replaced
// since.
func (l *Ledger) setAside(a area.Name) error {
	return guard(func() error {
		return l.s.db.Update(func(tx *bolt.Tx) error {
			ledger := tx.Bucket(ledgerBucket)
			v := ledger.Get([]byte(a))
			if _, err := unseal(a, v); v == nil || !errors.Is(err, ErrCorrupt) {
				return nil
			}
			l.s.count.corrupt.Add(1)
			if err := tx.Bucket(corruptBucket).Put([]byte(a), bytes.Clone(v)); err != nil {
				return err
			}
			return ledger.Delete([]byte(a))
		})
	})
}

func (l *Ledger) view(f func(*bolt.Tx) error) error {
	return guard(func() error { return l.s.db.View(f) })
}

// Commit queues the record, which is copied, and returns. When it is safe on
// disk done(nil) is called on the committer's goroutine, where it must only
// enqueue; or done(err), when it is not known to be. Commits of an area are
// told in their order; of several that wait the newest alone is written, and
// all are told.
//
// The overflow policy is to refuse: more than 65,536 waiting callers, a record
// over 1 MiB, an area that is no id, and a closed store are told at once, on
// the caller's goroutine, with an error of code degraded, too_large, invalid or
// draining. An error of code disk_full may pass; after any other from the
// committer every later commit fails.
func (l *Ledger) Commit(a area.Name, record []byte, done func(error)) {
	if err := l.enqueue(a, record, done); err != nil {
		l.s.count.refused.Add(1)
		done(err)
		return
	}
	l.signal()
}

func (l *Ledger) enqueue(a area.Name, record []byte, done func(error)) error {
	if !area.IsID(string(a)) {
		return area.InvalidField("area", "is not an id")
	}
	if len(record) > maxRecord {
		return area.Errorf(area.CodeTooLarge, "record of area %s has %d bytes, more than %d", a, len(record), maxRecord)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return area.Errorf(area.CodeDraining, "the store is closed")
	}
	if len(l.done) >= maxQueued {
		return area.Errorf(area.CodeDegraded, "%d commits wait for the disk", len(l.done))
	}
	l.s.count.commits.Add(1)
	if _, ok := l.queue[a]; ok {
		l.s.count.coalesced.Add(1)
	}
	l.queue[a] = bytes.Clone(record)
	l.done = append(l.done, done)
	return nil
}

func (l *Ledger) signal() {
	select {
	case l.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// run is the committer: it writes everything that is queued as one group, and
// while it does the next group gathers.
func (l *Ledger) run() {
	var failed error
	for range l.wake {
		group, done, closed := l.take()
		if len(done) > 0 {
			err := failed
			if err == nil {
				err = l.commit(group)
				if err != nil && area.CodeOf(err) != area.CodeDiskFull {
					failed = err
				}
			}
			l.tell(done, err)
		}
		if closed {
			return
		}
	}
}

func (l *Ledger) take() (group map[area.Name][]byte, done []func(error), closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	group, done = l.queue, l.done
	l.queue, l.done = map[area.Name][]byte{}, nil
	return group, done, l.closed
}

func (l *Ledger) tell(done []func(error), err error) {
	if err != nil {
		l.s.count.failed.Add(int64(len(done)))
	}
	for _, f := range done {
		f(err)
	}
}

// commit writes a group. A full disk is found before anything is written over:
// bbolt writes pages that are free and the root last, so it is the one failure
// after which the file is known to be as it was.
func (l *Ledger) commit(group map[area.Name][]byte) error {
	err := guard(func() error { return l.write(group) })
	if err == nil {
		l.s.count.groups.Add(1)
		return nil
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok && errors.Is(p.Err, syscall.ENOSPC) {
		return area.Errorf(area.CodeDiskFull, "ledger: %s", err)
	}
	return fmt.Errorf("store: ledger: %w", err)
}

func (s *Store) writeLedger(group map[area.Name][]byte) error {
	return s.db.Update(func(tx *bolt.Tx) error {
		ledger := tx.Bucket(ledgerBucket)
		for a, record := range group {
			if err := ledger.Put([]byte(a), seal(a, record)); err != nil {
				return err
			}
		}
		return nil
	})
}
