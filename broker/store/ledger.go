package store

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/tacet-hub/tacet/broker/area"
)

// Ledger keeps one record per area. It is safe for concurrent use.
type Ledger struct{ s *Store }

// Areas lists the areas that have a record, damaged ones included, in the
// order of their names. A name that is itself damaged past being one is left
// out.
func (l *Ledger) Areas() ([]area.Name, error) {
	var out []area.Name
	err := l.s.view(func(tx *bolt.Tx) error {
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
	err := l.s.view(func(tx *bolt.Tx) error {
		v := tx.Bucket(ledgerBucket).Get([]byte(a))
		if v == nil {
			if tx.Bucket(corruptBucket).Get([]byte(a)) != nil {
				return ErrCorrupt
			}
			return nil
		}
		var err error
		record, err = unseal(ledgerPlace(a), v)
		damaged = errors.Is(err, ErrCorrupt)
		return err
	})
	if damaged {
		err = errors.Join(err, l.s.setAside(ledgerPlace(a)))
	}
	if err != nil {
		return nil, fmt.Errorf("store: area %s: %w", a, err)
	}
	return record, nil
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
	if !area.IsID(string(a)) {
		l.s.count.refused.Add(1)
		done(area.InvalidField("area", "is not an id"))
		return
	}
	l.s.committer.change(ledgerPlace(a), change{record: bytes.Clone(record)}, done)
}

func ledgerPlace(a area.Name) place { return place{key: string(a)} }
