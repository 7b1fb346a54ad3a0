package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// When sensors are written. A disk that wears is not written for each reading:
// what a sensor is goes there soon, but not again within a minute; its readings
// and last_seen with it, else every ten minutes, all of them in one commit, and
// at the end.
const (
	writeSoon  = 5 * time.Second
	writeApart = time.Minute
	writeLate  = 10 * time.Minute
)

// forgetAfter is how long a sensor that nobody assigned is remembered without a
// live word of it.
const forgetAfter = 30 * 24 * time.Hour

// Shelf keeps records of sensors by their ids on disk; store.Table is one. done
// is called once, when a change is durable or is known not to be; changes of a
// key are made in their order.
type Shelf interface {
	Load(each func(key string, value []byte) error) error
	PutAsync(key string, value []byte, done func(error))
	DeleteAsync(key string, done func(error))
}

// unwritten tells whether there is more to an entry than the disk has.
func (e *entry) unwritten() bool { return e.changed || e.moved }

// silentFor is how long nothing live came of a device that an operator said
// nothing of.
func (e *entry) silentFor(now time.Time) time.Duration {
	if e.assigned != (Assignment{}) {
		return 0
	}
	last := e.since
	if e.lastLive.After(last) {
		last = e.lastLive
	}
	return now.Sub(last)
}

// bringBack reads the shelf. A record that cannot be read stays where it is, and
// the log has it as an error.
func (r *Registry) bringBack() error {
	at := r.now()
	return r.shelf.Load(func(key string, value []byte) error {
		d, err := area.ParseSensorID(key)
		var rec record
		if err == nil {
			err = json.Unmarshal(value, &rec)
		}
		if err != nil {
			r.log.Error("kept sensor cannot be read", "device", key, "err", err)
			return nil
		}
		if len(rec.Readings) > r.cfg.Metrics {
			rec.Readings = rec.Readings[:r.cfg.Metrics]
		}
		rec.By = cmp.Or(rec.By, r.cfg.Node) // as earlier versions kept it
		if _, known := r.roster.Area(rec.Area); !known {
			rec.Area = area.Unassigned
		}
		e, _ := r.entryOf(d)
		if e == nil {
			return nil
		}
		e.bring(d, rec, at)
		if e.silentFor(at) > forgetAfter {
			r.gone[d] = true
			return nil
		}
		r.devices[d] = e
		r.readings += len(e.readings)
		return nil
	})
}

// forgetSilent forgets sensors that nobody assigned and nobody heard for 30
// days.
func (r *Registry) forgetSilent() {
	var gone []area.DeviceID
	now := r.now()
	r.mu.Lock()
	for d, e := range r.devices {
		if e.silentFor(now) > forgetAfter {
			r.drop(d, e)
			gone = append(gone, d)
		}
	}
	r.mu.Unlock()
	for _, d := range gone {
		r.tell(d, true)
	}
}

// Remove is [Registry.Forget], at all nodes, that blocks until the disk of this one has
// forgotten the device, too. Its error is the disk's, or ctx's.
func (r *Registry) Remove(ctx context.Context, d area.DeviceID) error {
	r.mu.Lock()
	if r.mux != nil {
		r.bury(d, r.stamp())
		r.untold[d] = true
		r.untell(d)
	}
	r.mu.Unlock()
	r.Forget(d)
	if r.shelf == nil {
		return nil
	}
	done := make(chan error, 1)
	r.queueing.Lock()
	r.shelf.DeleteAsync(string(d), func(err error) { done <- err })
	r.queueing.Unlock()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// writeWait is how long a writer waits for the disk: a hub that ends has two
// seconds for this and more.
const writeWait = 1500 * time.Millisecond

// written is what became of a record.
type written struct {
	device area.DeviceID
	err    error
}

// write brings the disk up to date with what was forgotten and with the entries
// that are due, and waits for it. What the disk does not take in time is tried
// again.
func (r *Registry) write(ctx context.Context, due func(*entry) bool) {
	if r.shelf == nil {
		return
	}
	ids, gone := r.unwritten(due)
	if len(ids)+len(gone) == 0 {
		return
	}
	answers := make(chan written, len(ids)+len(gone)) // an answer that comes too late has its place, too
	waiting := map[area.DeviceID]bool{}
	for _, d := range gone {
		r.queueing.Lock()
		r.shelf.DeleteAsync(string(d), func(err error) { answers <- written{d, err} })
		r.queueing.Unlock()
		waiting[d] = true
	}
	for _, d := range ids {
		if r.queue(d, func(err error) { answers <- written{d, err} }) {
			waiting[d] = true
		}
	}
	r.await(ctx, answers, waiting)
}

// unwritten is the devices that are due, and those that are gone.
func (r *Registry) unwritten(due func(*entry) bool) (ids, gone []area.DeviceID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for d, e := range r.devices {
		if due(e) {
			ids = append(ids, d)
		}
	}
	gone = slices.Collect(maps.Keys(r.gone))
	clear(r.gone)
	slices.SortFunc(ids, cmp.Compare[area.DeviceID])
	return ids, gone
}

// queue hands the record of a device to the disk; false where there is none to
// keep. What is a player is the roster's, and comes back with its word.
func (r *Registry) queue(d area.DeviceID, done func(error)) bool {
	_, player := r.roster.Player(d)
	r.queueing.Lock()
	defer r.queueing.Unlock()
	r.mu.Lock()
	e := r.devices[d]
	if e == nil {
		r.mu.Unlock()
		return false
	}
	onDisk := !e.kept.IsZero()
	e.changed, e.moved, e.kept = false, false, r.now()
	if player {
		e.kept = time.Time{}
	}
	rec := e.record(r.cfg.Node, r.last)
	r.mu.Unlock()
	value, err := json.Marshal(rec)
	switch {
	case player && !onDisk:
		return false
	case player:
		r.shelf.DeleteAsync(string(d), done)
	case err != nil:
		done(err)
	default:
		r.shelf.PutAsync(string(d), value, done)
	}
	return true
}

// await waits for the disk's answers and notes what it did not take.
func (r *Registry) await(ctx context.Context, answers <-chan written, waiting map[area.DeviceID]bool) {
	late := time.NewTimer(writeWait)
	defer late.Stop()
	var failed error
	for len(waiting) > 0 && failed == nil {
		select {
		case a := <-answers:
			if a.err != nil {
				failed = a.err
				break
			}
			r.count.written.Add(1)
			delete(waiting, a.device)
		case <-late.C:
			failed = context.DeadlineExceeded
		case <-ctx.Done():
			failed = ctx.Err()
		}
	}
	if failed == nil {
		return
	}
	r.count.unwritten.Add(uint64(len(waiting)))
	r.log.Warn("sensors are not on disk", "n", len(waiting), "err", failed)
	r.mu.Lock()
	defer r.mu.Unlock()
	for d := range waiting {
		if e := r.devices[d]; e != nil {
			e.changed = true
		} else {
			r.gone[d] = true
		}
	}
}
