package seen

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Times of the book.
const (
	look     = 10 * time.Second // between two looks at who is here
	settle   = 10 * time.Minute // between two records of one who is there
	apart    = time.Minute      // between two records of one who comes and goes
	tidying  = time.Hour        // between two looks at what is old
	orphaned = 24 * time.Hour   // how much longer a sighting of another node is left to that
	most     = 1000             // records that are written at a time
)

// Run keeps the book until ctx ends, and writes then what is not written; it returns nil.
func (b *Book) Run(ctx context.Context) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	tidied := b.now()
	for {
		b.look()
		b.write(b.due(most, false), nil)
		if b.now().Sub(tidied) >= tidying {
			tidied = b.now()
			b.tidy()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			b.look()
			var all sync.WaitGroup
			b.write(b.due(b.cfg.Most, true), &all)
			all.Wait()
			return nil
		}
	}
}

// look notes who is here.
func (b *Book) look() {
	if b.cfg.Here == nil {
		return
	}
	for _, s := range b.cfg.Here() {
		b.saw(s.Who, s.At)
	}
}

// due is what has to be written: at the end everything that is not.
func (b *Book) due(most int, end bool) (list []Sighting) {
	now := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	for w, e := range b.all {
		if len(list) >= most {
			break
		}
		gone := now.Sub(e.at) >= look && now.Sub(e.written) >= apart
		if e.ours && (end || gone || e.at.Sub(e.kept) >= settle) {
			e.kept, e.written, e.ours = e.at, now, false
			list = append(list, Sighting{w, e.at, e.node})
		}
	}
	return list
}

// write puts sightings into the table; all waits for them.
func (b *Book) write(list []Sighting, all *sync.WaitGroup) {
	for _, s := range list {
		value, err := json.Marshal(record{area.At(s.At), s.Node})
		if err != nil {
			b.count.failed.Add(1) // plain fields: it does not happen
			continue
		}
		if all != nil {
			all.Add(1)
		}
		b.table.PutAsync(s.key(), value, func(err error) {
			b.done(err)
			if all != nil {
				all.Done()
			}
		})
	}
}

func (b *Book) done(err error) {
	if err != nil {
		b.count.failed.Add(1)
		return
	}
	b.count.written.Add(1)
}

func (b *Book) erase(w Who) {
	b.table.DeleteAsync(w.key(), func(err error) {
		if err != nil {
			b.count.failed.Add(1)
		}
	})
}

// tidy forgets who was not seen for too long.
func (b *Book) tidy() {
	var list []Who
	b.mu.Lock()
	for w, e := range b.all {
		more := orphaned
		if e.node == b.cfg.Node {
			more = 0
		}
		if b.old(e, more) {
			delete(b.all, w)
			list = append(list, w)
		}
	}
	b.mu.Unlock()
	b.count.forgotten.Add(uint64(len(list)))
	for _, w := range list {
		b.erase(w)
	}
}
