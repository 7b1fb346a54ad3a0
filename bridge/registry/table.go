package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Table keeps records by key on disk; store.Table is one. What it took, or took
// away, is durable when it returns.
type Table interface {
	Load(each func(key string, value []byte) error) error
	Put(ctx context.Context, key string, value []byte) error
	Delete(ctx context.Context, key string) error
}

// putWait is how long an operator waits for the disk.
const putWait = 10 * time.Second

// Durable is [Assignments] that outlive the process. It is safe for concurrent
// use.
type Durable struct{ table Table }

// NewDurable makes assignments of a table.
func NewDurable(t Table) Durable { return Durable{t} }

// All is what the table has. A record that cannot be read is an error.
func (d Durable) All() (map[area.DeviceID]Assignment, error) {
	all := map[area.DeviceID]Assignment{}
	err := d.table.Load(func(key string, value []byte) error {
		a, err := readAssignment(value)
		if err != nil {
			return fmt.Errorf("assignment of %s: %w", key, err)
		}
		if a != (Assignment{}) { // as earlier versions kept of a device that was removed
			all[area.DeviceID(key)] = a
		}
		return nil
	})
	return all, err
}

// Put keeps a, or nothing where that says nothing; it blocks for the disk, ten
// seconds at most. Its errors are the table's, an [area.Error] of code disk_full
// among them.
func (d Durable) Put(id area.DeviceID, a Assignment) error {
	ctx, cancel := context.WithTimeout(context.Background(), putWait)
	defer cancel()
	value, err := json.Marshal(a)
	switch {
	case err != nil:
	case a == (Assignment{}):
		err = d.table.Delete(ctx, string(id))
	default:
		err = d.table.Put(ctx, string(id), value)
	}
	if err != nil {
		return fmt.Errorf("assignment of %s: %w", id, err)
	}
	return nil
}

// readAssignment reads one of the table; nil says nothing.
func readAssignment(value []byte) (a Assignment, err error) {
	if value == nil {
		return a, nil
	}
	err = json.Unmarshal(value, &a)
	return a, err
}
