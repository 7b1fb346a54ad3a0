package order

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/tacet-hub/tacet/broker/area"
)

// Table keeps records by key on disk; store.Table is one. Done is called once,
// when a change is durable or is known not to be, and must only enqueue.
type Table interface {
	Load(each func(key string, value []byte) error) error
	PutAsync(key string, value []byte, done func(error))
	DeleteAsync(key string, done func(error))
}

// Durable is a [Store] that outlives the process: a [Memory] whose records are
// on disk as well. A new order and one with its end are durable when Put
// returns. What happens in between is written when it suits: after a crash the
// arbiter's own ledger has the newer word, and says it again. It is safe for
// concurrent use.
type Durable struct {
	*Memory
	table Table
	log   *slog.Logger
	gate  sync.Mutex // held while a change is handed to the table, or one of another node is taken in
}

// stored is a record as it is on disk. Estimates are not: they are made anew,
// and change so often that each would be a write.
type stored struct {
	Seq      uint64          `json:"seq"`
	Order    area.Order      `json:"order"`
	Location area.LocationID `json:"location,omitempty"`
	Device   area.DeviceID   `json:"device,omitempty"`
	Prio     int             `json:"prio"` // of a work that came over MQTT it may lie between the named ones
	Node     string          `json:"node,omitempty"`
}

// decode reads a record that is kept under a key.
func decode(key string, value []byte) (stored, error) {
	var s stored
	if err := json.Unmarshal(value, &s); err != nil {
		return s, err
	}
	if string(s.Order.ID) != key {
		return s, fmt.Errorf("it is that of order %.80q", s.Order.ID)
	}
	s.Order.Priority = area.Priority(s.Prio)
	return s, nil
}

func (s stored) record() Record {
	return Record{Order: s.Order, Location: s.Location, Device: s.Device, Node: s.Node}
}

// NewDurable makes a store of what the table has. It keeps so many ended
// orders, as [NewMemory] does, and drops the oldest from the table too. A record
// that cannot be read is left where it is, and told to the log.
func NewDurable(t Table, ended int, log *slog.Logger) (*Durable, error) {
	d := &Durable{Memory: NewMemory(ended), table: t, log: log}
	var all []stored
	err := t.Load(func(key string, value []byte) error {
		s, err := decode(key, value)
		if err != nil {
			log.Error("stored order cannot be read", "work", key, "err", err)
			return nil
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("orders: %w", err)
	}
	d.restore(all)
	return d, nil
}

// restore puts records into the memory, those without an end in the order of
// their arrival, then the ended ones in the order of their ends.
func (d *Durable) restore(all []stored) {
	ended := func(s stored) area.Time {
		if s.Order.EndedAt == nil {
			return area.Time{}
		}
		return *s.Order.EndedAt
	}
	slices.SortFunc(all, func(x, y stored) int { return cmp.Compare(x.Seq, y.Seq) })
	for _, s := range all {
		r := s.record()
		r.Order = withoutEnd(r.Order)
		d.place(s.Seq, r)
	}
	slices.SortStableFunc(all, func(x, y stored) int { return ended(x).Compare(ended(y).Time) })
	for _, s := range all {
		d.forgetOnDisk(d.place(s.Seq, s.record()))
	}
}

// withoutEnd is an order whose end is not known yet.
func withoutEnd(o area.Order) area.Order {
	o.State = area.OrderAccepted
	return o
}

// Put keeps records. An error means that the new and the ended ones among them
// are not kept. It blocks for the disk, and does not heed ctx: what would become
// of the record is not known before the disk has answered.
func (d *Durable) Put(_ context.Context, records ...Record) error {
	answers := make(chan error, len(records))
	seqs, waits, err := d.hand(records, answers)
	if err != nil {
		return err
	}
	var failed error
	for range waits {
		if err := <-answers; failed == nil {
			failed = err
		}
	}
	if failed != nil {
		return fmt.Errorf("orders: %w", failed)
	}
	d.gate.Lock()
	defer d.gate.Unlock()
	for i, r := range records {
		if !d.taken(r) {
			d.forgetOnDisk(d.place(seqs[i], r))
		}
	}
	return nil
}

// hand hands records to the table, and tells where they stand and how many answers
// are to be waited for.
func (d *Durable) hand(records []Record, answers chan<- error) (seqs []uint64, waits int, err error) {
	d.gate.Lock()
	defer d.gate.Unlock()
	seqs = make([]uint64, len(records))
	for i, r := range records {
		seq, old := d.number(r.Order.ID)
		seqs[i] = seq
		if old.Ended() || d.taken(r) {
			continue // nothing changes any more; or another node has it
		}
		done := d.later(r.Order.ID)
		if old == "" || r.Order.State.Ended() {
			waits++
			done = func(err error) { answers <- err }
		}
		value, err := encode(seq, r)
		if err != nil {
			return nil, waits, fmt.Errorf("order %s: %w", r.Order.ID, err)
		}
		d.table.PutAsync(string(r.Order.ID), value, done)
	}
	return seqs, waits, nil
}

// taken tells whether another node has an order than the record says.
func (d *Durable) taken(r Record) bool {
	was, known := d.Get(r.Order.ID)
	return known && was.Node != "" && r.Node != "" && was.Node != r.Node
}

func encode(seq uint64, r Record) ([]byte, error) {
	s := stored{Seq: seq, Order: r.Order, Location: r.Location, Device: r.Device, Prio: int(r.Order.Priority), Node: r.Node}
	s.Order.EstimatedStart, s.Order.After = nil, nil
	return json.Marshal(s)
}

// later tells of a change that nobody waits for, and that is not on disk.
func (d *Durable) later(id area.WorkID) func(error) {
	return func(err error) {
		if err != nil {
			d.log.Warn("a change of an order is not on disk", "work", id, "err", err)
		}
	}
}

// Drop forgets an order that has no end. It blocks for the disk.
func (d *Durable) Drop(ctx context.Context, id area.WorkID) error {
	if r, ok := d.Get(id); !ok || r.Order.State.Ended() {
		return nil
	}
	answer := make(chan error, 1)
	d.table.DeleteAsync(string(id), func(err error) { answer <- err })
	if err := <-answer; err != nil {
		return fmt.Errorf("orders: %w", err)
	}
	return d.Memory.Drop(ctx, id)
}

// forgetOnDisk drops what the memory has dropped.
func (d *Durable) forgetOnDisk(gone []area.WorkID) {
	for _, id := range gone {
		d.table.DeleteAsync(string(id), d.later(id))
	}
}
