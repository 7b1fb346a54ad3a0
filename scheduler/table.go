package scheduler

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"sync"

	"github.com/tacet-hub/tacet/broker/area"
)

// Table keeps records by key on disk; store.Table is one. What it took is
// durable when it returns.
type Table interface {
	Load(each func(key string, value []byte) error) error
	Put(ctx context.Context, key string, value []byte) error
	Delete(ctx context.Context, key string) error
}

// Durable is a [Store] that outlives the process. Its methods block for the
// disk; their errors are the table's, an [area.Error] of code disk_full among
// them. It is safe for concurrent use.
type Durable struct {
	table Table

	mu      sync.Mutex // held for the whole of a change, so that disk and records agree
	records map[string]Record
}

// NewDurable makes a store of what the table has. A record that cannot be read
// stays where it is, and the log has it as an error: its schedule does not fire.
func NewDurable(t Table, log *slog.Logger) (*Durable, error) {
	d := &Durable{table: t, records: map[string]Record{}}
	err := t.Load(func(id string, value []byte) error {
		r, err := readRecord(id, value)
		if err != nil {
			log.Error("stored schedule cannot be read", "rule", id, "err", err)
			return nil
		}
		d.records[id] = r
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("schedules: %w", err)
	}
	return d, nil
}

// Load answers every record.
func (d *Durable) Load() ([]Record, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]Record, 0, len(d.records))
	for _, r := range d.records {
		out = append(out, r)
	}
	return out, nil
}

// Put keeps a record.
func (d *Durable) Put(ctx context.Context, r Record) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.put(ctx, r)
}

func (d *Durable) put(ctx context.Context, r Record) error {
	r.Schedule.Next = nil // made anew
	value, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("schedule %s: %w", r.Schedule.ID, err)
	}
	if err := d.table.Put(ctx, r.Schedule.ID, value); err != nil {
		return fmt.Errorf("schedule %s: %w", r.Schedule.ID, err)
	}
	d.records[r.Schedule.ID] = r
	return nil
}

// Fired notes what a firing made.
func (d *Durable) Fired(ctx context.Context, id string, last area.ScheduleFired, each map[area.LocationID]area.WorkID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, ok := d.records[id]
	if !ok {
		return nil
	}
	r.Schedule.Last, r.Each = &last, maps.Clone(each)
	return d.put(ctx, r)
}

// Delete forgets a schedule.
func (d *Durable) Delete(ctx context.Context, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.records[id]; !ok {
		return nil
	}
	if err := d.table.Delete(ctx, id); err != nil {
		return fmt.Errorf("schedule %s: %w", id, err)
	}
	delete(d.records, id)
	return nil
}

// Changed takes in what the table has of a schedule now that somebody else has
// changed it; nil: nothing. It answers that. What cannot be read is an error, and
// changes nothing.
func (d *Durable) Changed(id string, value []byte) (r Record, there bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if value == nil {
		delete(d.records, id)
		return r, false, nil
	}
	if r, err = readRecord(id, value); err != nil {
		return r, false, err
	}
	d.records[id] = r
	return r, true, nil
}

func readRecord(id string, value []byte) (r Record, err error) {
	if err = json.Unmarshal(value, &r); err != nil {
		return r, err
	}
	if r.Schedule.ID != id {
		return r, fmt.Errorf("the record is that of %s", r.Schedule.ID)
	}
	return r, nil
}
