package arbiter

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"

	"github.com/tacet-hub/tacet/broker/area"
)

// AreaTable keeps records by key on disk; store.Table is one. Done is called
// once, when a change is durable or is known not to be, and must only enqueue.
type AreaTable interface {
	Load(each func(key string, value []byte) error) error
	PutAsync(key string, value []byte, done func(error))
	DeleteAsync(key string, done func(error))
}

// keeper writes the areas that no configuration file has.
type keeper struct {
	table AreaTable
	log   *slog.Logger
	mu    sync.Mutex // held from reading an area to handing it to the table, so that the newest comes last
}

// KeepIn makes the roster keep the areas that the API makes and that devices
// name in a table, and brings back those that are there. An area that the
// configuration file has by now, or that no longer fits it, stays in the table
// and is not brought back; the log has it. It is called once, before the roster
// is used.
func (r *Roster) KeepIn(t AreaTable, log *slog.Logger) error {
	err := t.Load(func(key string, value []byte) error {
		var c AreaConfig
		err := json.Unmarshal(value, &c)
		if err == nil && string(c.ID) != key {
			err = fmt.Errorf("the record is that of %s", c.ID)
		}
		if err == nil {
			err = r.Create(c)
		}
		if err != nil {
			log.Warn("area is not brought back", "area", key, "err", err)
		} else if c.Source == area.SourceSeen {
			r.seen++
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("areas: %w", err)
	}
	r.keeper = &keeper{table: t, log: log}
	return nil
}

// Save blocks until an area is durable as it is now, or its absence is. Without
// KeepIn, and for an area of the configuration file, there is nothing to do. Its
// error is the table's, an [area.Error] of code disk_full among them, or ctx's.
func (r *Roster) Save(ctx context.Context, name area.Name) error {
	if r.keeper == nil {
		return nil
	}
	done := make(chan error, 1)
	r.write(name, func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// keep has an area written that has changed. It does not block.
func (r *Roster) keep(name area.Name) {
	if r.keeper == nil {
		return
	}
	r.write(name, func(err error) {
		if err != nil {
			r.keeper.log.Warn("area is not kept", "area", name, "err", err)
		}
	})
}

func (r *Roster) write(name area.Name, done func(error)) {
	k := r.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	c, ok := r.whole(name)
	switch {
	case !ok:
		k.table.DeleteAsync(string(name), done)
	case c.Source == area.SourceConfig:
		done(nil)
	default:
		value, err := json.Marshal(c)
		if err != nil {
			done(fmt.Errorf("area %s: %w", name, err))
			return
		}
		k.table.PutAsync(string(name), value, done)
	}
}

// whole is an area with all the locations that it has now.
func (r *Roster) whole(name area.Name) (AreaConfig, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.areas[name]
	if !ok {
		return AreaConfig{}, false
	}
	c := e.AreaConfig
	c.Locations = make([]Place, len(e.locations))
	for i, l := range e.locations {
		c.Locations[i] = Place{ID: l.id, Name: l.name}
	}
	return c, true
}
