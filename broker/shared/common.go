package shared

import (
	"context"
	"errors"
)

// Errors of a [Common].
var (
	// ErrAway is that the common copy cannot be reached: whether a change was done
	// is not known.
	ErrAway = errors.New("shared: what the nodes have in common is away")
	// ErrGap is that not all changes since a mark are known any more.
	ErrGap = errors.New("shared: changes since the mark are missing")
)

// Name is where a record is.
type Name struct{ Table, Key string }

// Entry is a record with its stamp. One that is gone has no value.
type Entry struct {
	Name
	Stamp
	Value []byte
}

// Whole tells whether the value is that of the stamp.
func (e Entry) Whole() bool {
	if e.Gone {
		return e.Value == nil
	}
	return e.Value != nil && sumOf(e.Value) == e.Sum
}

// Change is news of a record.
type Change struct {
	Name
	Stamp
}

// Common is the copy of the tables that the nodes have in common. Its methods may
// block for as long as that takes to answer, and are safe for concurrent use. An
// error that is not one of this package's is as [ErrAway].
type Common interface {
	// Mark makes a place among the changes, from which Since can go on. Epoch names
	// what is there since it was last found empty.
	Mark(ctx context.Context) (mark, epoch string, err error)
	// Stamps lists the records of a table, those that are gone too, by key.
	Stamps(ctx context.Context, table string) (map[string]Stamp, error)
	// Read answers the records that are there, in any order; names that are not are
	// left out.
	Read(ctx context.Context, names []Name) ([]Entry, error)
	// Merge writes each entry that is newer than what is there, and makes a change of
	// it. It answers what was there in place of those that are older.
	Merge(ctx context.Context, list []Entry) (newer []Entry, err error)
	// Swap writes an entry in place of the one that has the stamp, and makes a change
	// of it; or answers what it has found instead, the zero value for nothing. No
	// other write comes between the two.
	Swap(ctx context.Context, was Stamp, e Entry) (found Entry, done bool, err error)
	// Since waits, about a second at most, for changes after the mark, and answers
	// them, perhaps none, and the mark after them. ErrGap: some are missing.
	Since(ctx context.Context, mark string) (list []Change, next string, err error)
	// Forget removes records that still have the stamps. No change is made of it.
	Forget(ctx context.Context, list []Change) error
}
