package store

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"syscall"

	bolt "go.etcd.io/bbolt"

	"github.com/tacet-hub/tacet/broker/area"
)

const (
	maxRecord = 1 << 20 // bytes of one record
	maxQueued = 1 << 16 // callers that may wait for the disk
)

// place is where a record is kept: the ledger has a table to itself.
type place struct {
	table string // empty: the ledger
	key   string
}

func (p place) String() string {
	if p.table == "" {
		return "area " + p.key
	}
	return p.table + " " + p.key
}

// change is what a record becomes.
type change struct {
	record  []byte
	deleted bool
}

// group is what goes to disk in one transaction.
type group struct {
	changes map[place]change // the newest of each place
	done    []func(error)    // in the order of their changes; bounded by maxQueued
}

func newGroup() *group { return &group{changes: map[place]change{}} }

// committer writes everything that is queued as one group, and while it does
// the next group gathers. There is one for the whole file.
type committer struct {
	count *counters
	write func(*group) error // one transaction

	mu     sync.Mutex
	next   *group
	closed bool
	wake   chan struct{} // holds one: there is work, or the end
}

func newCommitter(count *counters, write func(*group) error) *committer {
	return &committer{count: count, write: write, next: newGroup(), wake: make(chan struct{}, 1)}
}

// change queues a change, or tells at once that it is refused. The record is
// the committer's from now on.
func (c *committer) change(p place, ch change, done func(error)) {
	if err := c.enqueue(p, ch, done); err != nil {
		c.count.refused.Add(1)
		done(err)
		return
	}
	c.signal()
}

func (c *committer) enqueue(p place, ch change, done func(error)) error {
	if len(ch.record) > maxRecord {
		return area.Errorf(area.CodeTooLarge, "record of %s has %d bytes, more than %d", p, len(ch.record), maxRecord)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return area.Errorf(area.CodeDraining, "the store is closed")
	}
	if len(c.next.done) >= maxQueued {
		return area.Errorf(area.CodeDegraded, "%d changes wait for the disk", len(c.next.done))
	}
	c.count.commits.Add(1)
	if _, ok := c.next.changes[p]; ok {
		c.count.coalesced.Add(1)
	}
	c.next.changes[p] = ch
	c.next.done = append(c.next.done, done)
	return nil
}

func (c *committer) signal() {
	select {
	case c.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// stop lets run finish what is queued and end.
func (c *committer) stop() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.signal()
}

// run writes groups until stop.
func (c *committer) run() {
	var failed error
	for range c.wake {
		g, closed := c.take()
		if len(g.done) > 0 {
			err := failed
			if err == nil {
				err = c.commit(g)
				if err != nil && area.CodeOf(err) != area.CodeDiskFull {
					failed = err
				}
			}
			c.tell(g, err)
		}
		if closed {
			return
		}
	}
}

func (c *committer) take() (g *group, closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g = c.next
	c.next = newGroup()
	return g, c.closed
}

func (c *committer) tell(g *group, err error) {
	if err != nil {
		c.count.failed.Add(int64(len(g.done)))
	}
	for _, f := range g.done {
		f(err)
	}
}

// commit writes a group. A full disk is found before anything is written over:
// bbolt writes pages that are free and the root last, so it is the one failure
// after which the file is known to be as it was.
func (c *committer) commit(g *group) error {
	err := guard(func() error { return c.write(g) })
	if err == nil {
		c.count.groups.Add(1)
		return nil
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok && errors.Is(p.Err, syscall.ENOSPC) {
		return area.Errorf(area.CodeDiskFull, "store: %s", err)
	}
	return fmt.Errorf("store: %w", err)
}

// writeGroup is a transaction of bbolt.
func (s *Store) writeGroup(g *group) error {
	return s.db.Update(func(tx *bolt.Tx) error {
		for p, ch := range g.changes {
			b, err := bucketOf(tx, p)
			if err != nil {
				return err
			}
			if ch.deleted {
				err = b.Delete([]byte(p.key))
			} else {
				err = b.Put([]byte(p.key), seal(p, ch.record))
			}
			if err != nil {
				return fmt.Errorf("%s: %w", p, err)
			}
		}
		return nil
	})
}

// bucketOf is the bucket of a place; a table's is made when it is first
// written to.
func bucketOf(tx *bolt.Tx, p place) (*bolt.Bucket, error) {
	if p.table == "" {
		return tx.Bucket(ledgerBucket), nil
	}
	return tx.Bucket(tablesBucket).CreateBucketIfNotExists([]byte(p.table))
}
