package order

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// SharedTable is a [Table] that other nodes have as well; shared.Table is one.
type SharedTable interface {
	Table
	Get(key string) (value []byte, ok bool, err error)
	Latest(ctx context.Context, key string) (value []byte, ok bool, err error)
	PutIf(ctx context.Context, key string, old, value []byte) (found []byte, done bool, err error)
	Watch(changed func(key string, value []byte))
}

// Shared is a [Durable] that has the orders of all nodes. Each record says whose it
// is, and only that node writes it, but for [Shared.Take]. Of an order that has ended
// twice, as where two nodes went on with it while they could not hear of each other,
// the earlier end stays at every node. It is safe for concurrent use.
type Shared struct {
	*Durable
	table SharedTable
	self  string

	changed func(Record) // guarded by the gate
}

// NewShared makes a store of what the table has, for the node of that name and
// number. Orders of no node are its own: it was alone when it accepted them. The
// number, of which the lowest 8 bits count, keeps the places of new orders apart.
func NewShared(t SharedTable, self string, number uint64, ended int, log *slog.Logger) (*Shared, error) {
	d, err := NewDurable(t, ended, log)
	if err != nil {
		return nil, err
	}
	d.next = placesOf(number, time.Now)
	s := &Shared{Durable: d, table: t, self: self, changed: func(Record) {}}
	for _, r := range d.Live() {
		if r.Node != "" {
			continue
		}
		r.Node = self
		if err := d.Put(context.Background(), r); err != nil {
			return nil, err
		}
	}
	t.Watch(s.heard)
	return s, nil
}

// placesOf numbers new orders by the clock, so that those of all nodes stand in one
// line: microseconds, and the node in the lowest 8 bits.
func placesOf(number uint64, now func() time.Time) func(last uint64) uint64 {
	return func(last uint64) uint64 {
		return max(last>>8+1, uint64(now().UnixMicro()))<<8 | number&0xff
	}
}

// addTime is how long a new order waits until the other nodes can have it.
const addTime = 500 * time.Millisecond

// Put keeps records as [Durable.Put] does. A new one is known to what the nodes have
// in common too, so that it outlives this node; where another node has one of that
// id, the error is an [area.Error] of code exists. While that is away, or takes longer
// than 500 ms, this node's disk has to do.
func (s *Shared) Put(ctx context.Context, records ...Record) error {
	if len(records) == 1 { // a new one comes alone
		if done, err := s.add(ctx, records[0]); done || err != nil {
			return err
		}
	}
	return s.Durable.Put(ctx, records...)
}

// add keeps a new record at all nodes, and tells whether it did.
func (s *Shared) add(ctx context.Context, r Record) (bool, error) {
	id := r.Order.ID
	if _, known := s.Get(id); known || r.Order.State.Ended() {
		return false, nil
	}
	seq, _ := s.number(id)
	value, err := encode(seq, r)
	if err != nil {
		return false, fmt.Errorf("order %s: %w", id, err)
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), addTime)
	defer stop()
	switch found, done, err := s.table.PutIf(ctx, string(id), nil, value); {
	case area.CodeOf(err) == area.CodeDegraded || ctx.Err() != nil:
		return false, nil
	case err != nil:
		return false, fmt.Errorf("orders: %w", err)
	case !done && found != nil:
		return false, exists(id)
	case !done:
		return false, nil
	}
	s.gate.Lock()
	defer s.gate.Unlock()
	if _, known := s.Get(id); !known {
		s.place(seq, r)
	}
	return true, nil
}

// Follow implements [Sharing].
func (s *Shared) Follow(changed func(Record)) {
	s.gate.Lock()
	defer s.gate.Unlock()
	s.changed = changed
}

// Bring implements [Sharing].
func (s *Shared) Bring(ctx context.Context, id area.WorkID) {
	ctx, stop := context.WithTimeout(ctx, addTime)
	defer stop()
	if value, ok, err := s.table.Latest(ctx, string(id)); ok && err == nil {
		s.heard(string(id), value)
	}
}

// heard takes in a record of another node.
func (s *Shared) heard(key string, value []byte) {
	s.gate.Lock()
	defer s.gate.Unlock()
	id := area.WorkID(key)
	if value == nil {
		if r, ok := s.Get(id); ok && (r.Node != s.self || r.Order.State.Ended()) {
			s.Memory.remove(id)
		}
		return
	}
	was, known := s.Get(id)
	is, err := decode(key, value)
	switch {
	case err != nil:
		s.log.Error("stored order cannot be read", "work", key, "err", err)
		return
	case known && was.Order.State.Ended():
		s.endedTwice(was, is)
		return
	case known && is.Node == s.self && was.Node == s.self && !is.Order.State.Ended():
		return // our own word: what is known of it here is newer
	}
	s.forgetOnDisk(s.place(is.Seq, is.record()))
	s.changed(is.record())
}

// endedTwice settles which of two ends stays, the earlier one: an order that has
// ended never changes. An end is written again over whatever is none.
func (s *Shared) endedTwice(was Record, is stored) {
	switch end := is.Order.EndedAt; {
	case !is.Order.State.Ended() || end == nil:
	case was.Order.EndedAt == nil || end.Before(was.Order.EndedAt.Time) || end.Equal(was.Order.EndedAt.Time) && is.Node < was.Node:
		s.Memory.replace(is.record())
		return
	case end.Equal(was.Order.EndedAt.Time) && is.Node == was.Node:
		return
	}
	seq, _ := s.number(was.Order.ID)
	if value, err := encode(seq, was); err == nil {
		s.table.PutAsync(string(was.Order.ID), value, s.later(was.Order.ID))
	}
}

// Take implements [Sharing].
func (s *Shared) Take(ctx context.Context, id area.WorkID, from string) (Record, bool, error) {
	old, ok, err := s.table.Get(string(id))
	if err != nil || !ok {
		return Record{}, false, err
	}
	is, err := decode(string(id), old)
	if err != nil || is.Node != from || is.Order.State.Ended() {
		return Record{}, false, err
	}
	is.Node = s.self
	value, err := json.Marshal(is)
	if err != nil {
		return Record{}, false, err
	}
	if _, done, err := s.table.PutIf(ctx, string(id), old, value); err != nil || !done {
		return Record{}, false, err
	}
	s.gate.Lock()
	defer s.gate.Unlock()
	s.place(is.Seq, is.record())
	return is.record(), true, nil
}
