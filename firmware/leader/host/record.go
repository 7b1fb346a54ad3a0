package host

import (
	"errors"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/store"
)

// giveUpAfter is for how long nothing can be written of the area before the reign
// ends: nothing new is granted meanwhile, and another member's disk may be well.
const giveUpAfter = 3 * time.Second

// errRecord ends a reign whose record cannot be written.
var errRecord = errors.New("the record of the area cannot be written")

// record is the arbiter's ledger of a reign, which knows for how long it has
// failed. It is safe for concurrent use.
type record struct {
	*store.Ledger
	clock func() area.Instant

	mu    sync.Mutex
	err   error // of the newest write
	since area.Instant
}

func newRecord(l *store.Ledger, clock func() area.Instant) *record {
	return &record{Ledger: l, clock: clock}
}

// Commit is that of the ledger.
func (r *record) Commit(a area.Name, b []byte, done func(error)) {
	r.Ledger.Commit(a, b, func(err error) {
		r.wrote(err)
		done(err)
	})
}

func (r *record) wrote(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.since = r.clock()
	}
	r.err = err
}

// given answers why the reign is given up; nil: it is not.
func (r *record) given() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil || r.clock().Sub(r.since) < giveUpAfter {
		return nil
	}
	return errors.Join(errRecord, r.err)
}
