package store

import (
	"bytes"
	"errors"

	bolt "go.etcd.io/bbolt"

	"github.com/tacet-hub/tacet/broker/area"
)

// Record is a record of a table.
type Record struct {
	Table, Key string
	Value      []byte
	Gone       bool // there is none
}

// PutTogether queues changes that go to disk in one transaction: after a crash all
// of them are there, or none. The values are copied. Done is called once, as that of
// [Table.PutAsync], but where the changes are refused at once: then the error is
// answered, which is one that Put has for that, and done is not called.
func (s *Store) PutTogether(list []Record, done func(error)) error {
	err := s.committer.enqueueAll(list, done)
	if err != nil {
		s.count.refused.Add(1)
		return err
	}
	s.committer.signal()
	return nil
}

func (c *committer) enqueueAll(list []Record, done func(error)) error {
	for _, r := range list {
		if len(r.Value) > maxRecord {
			return area.Errorf(area.CodeTooLarge, "record of %s has %d bytes, more than %d", place{r.Table, r.Key}, len(r.Value), maxRecord)
		}
		if r.Key == "" || len(r.Key) > maxKey {
			return area.InvalidField("key", "has %d bytes, which is not 1 to %d", len(r.Key), maxKey)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return area.Errorf(area.CodeDraining, "the store is closed")
	case len(c.next.done) >= maxQueued:
		return area.Errorf(area.CodeDegraded, "%d changes wait for the disk", len(c.next.done))
	}
	for _, r := range list {
		c.count.commits.Add(1)
		if c.next.put(place{r.Table, r.Key}, change{record: bytes.Clone(r.Value), deleted: r.Gone}) {
			c.count.coalesced.Add(1)
		}
	}
	c.next.told(done)
	return nil
}

// Read fills in what records are on disk, all at one moment. One that is damaged
// counts as gone. It blocks for reading alone.
func (s *Store) Read(list []Record) error {
	return s.view(func(tx *bolt.Tx) error {
		for i := range list {
			r := &list[i]
			r.Value, r.Gone = nil, true
			b := tx.Bucket(tablesBucket).Bucket([]byte(r.Table))
			if b == nil {
				continue
			}
			sealed := b.Get([]byte(r.Key))
			if sealed == nil {
				continue
			}
			value, err := unseal(place{r.Table, r.Key}, sealed)
			if err != nil && !errors.Is(err, ErrCorrupt) {
				return err
			}
			r.Value, r.Gone = value, err != nil
		}
		return nil
	})
}
