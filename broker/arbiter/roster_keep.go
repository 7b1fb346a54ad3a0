package arbiter

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
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

// keeper writes the areas that no configuration file has, and of those that one has
// the locations that are not in it.
type keeper struct {
	table AreaTable
	log   *slog.Logger
	mu    sync.Mutex // held from reading an area to handing it to the table, so that the newest comes last
}

// KeepIn makes the roster keep the areas that the API makes and that devices
// name in a table, with their locations, and the locations that were added to an
// area of the configuration file, and brings back those that are there: an order for
// a location is accepted before its device is back. An area that the
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
			err = r.bringBack(c)
		}
		if err != nil {
			log.Warn("area is not brought back", "area", key, "err", err)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("areas: %w", err)
	}
	r.keeper = &keeper{table: t, log: log}
	return nil
}

// bringBack makes an area of the table, or adds what was added to one of the
// configuration file. A location that another area has by now stays that one's.
func (r *Roster) bringBack(c AreaConfig) error {
	if c.Source != area.SourceConfig {
		err := r.Create(c)
		if err == nil && c.Source == area.SourceSeen {
			r.seen++
		}
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.areas[c.ID]
	if !ok || e.Source != area.SourceConfig {
		return area.Errorf(area.CodeUnknownArea, "the configuration file no longer has area %s", c.ID)
	}
	for _, p := range c.Locations {
		if _, taken := r.places[p.ID]; !taken {
			r.addLocation(e, p)
		}
	}
	return nil
}

// Save blocks until an area is durable as it is now, or its absence is; of an area
// of the configuration file that is the locations which are not in it. Without
// KeepIn there is nothing to do. Its
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
	if ok && c.Source == area.SourceConfig {
		c = AreaConfig{ID: c.ID, Source: c.Source, Locations: r.added(name)}
		ok = len(c.Locations) > 0
	}
	if !ok {
		k.table.DeleteAsync(string(name), done)
		return
	}
	value, err := json.Marshal(c)
	if err != nil {
		done(fmt.Errorf("area %s: %w", name, err))
		return
	}
	k.table.PutAsync(string(name), value, done)
}

// added is the locations of an area that the configuration file does not give it.
func (r *Roster) added(name area.Name) (list []Place) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.areas[name]
	if e == nil {
		return nil
	}
	for _, l := range e.locations {
		if !slices.ContainsFunc(e.Locations, func(p Place) bool { return p.ID == l.id }) {
			list = append(list, Place{ID: l.id, Name: l.name})
		}
	}
	return list
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
