package host

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/store"
)

// works are the hub's works that are in our hands, on disk until their end has
// reached the hub. It is safe for concurrent use.
type works struct {
	table  *store.Table
	terms  *store.Table
	log    *slog.Logger
	failed atomic.Uint64
	wake   chan struct{} // one is on disk

	mu    sync.Mutex
	all   map[area.WorkID]handed
	fresh []area.WorkID // on disk, and not taken up yet
	term  uint64        // the newest of our own reigns
}

// handed is a work as the hub gave it.
type handed struct {
	Area  area.Name      `json:"area"`
	Work  area.Handed    `json:"work"`
	N     uint64         `json:"n"`             // of the message with which it came
	At    int64          `json:"at"`            // ms since 1970: when it came
	End   *area.Reported `json:"end,omitempty"` // what became of it; nil: it has no end
	EndAt int64          `json:"end_at,omitempty"`

	saved bool // it is on disk
}

const termKey = "term"

func openWorks(s *store.Store, log *slog.Logger) (*works, error) {
	w := &works{table: s.Table("works"), terms: s.Table("reign"), log: log, wake: make(chan struct{}, 1), all: map[area.WorkID]handed{}}
	err := w.table.Load(func(key string, value []byte) error {
		var one handed
		if err := json.Unmarshal(value, &one); err != nil || string(one.Work.Work) != key {
			log.Error("work of the hub cannot be read", "work", key, "err", err)
			return nil
		}
		one.saved = true
		w.all[one.Work.Work] = one
		return nil
	})
	if err == nil {
		err = w.terms.Load(func(key string, value []byte) error {
			if key != termKey {
				return nil
			}
			return json.Unmarshal(value, &w.term)
		})
	}
	if err != nil {
		return nil, fmt.Errorf("leader: %w", err)
	}
	return w, nil
}

// reigned keeps the term of our own reign.
func (w *works) reigned(term uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if term > w.term {
		w.term = term
		w.terms.PutAsync(termKey, fmt.Append(nil, term), w.saved("term"))
	}
}

// last is the term of our newest reign.
func (w *works) last() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.term
}

// mine answers the works without an end that nobody else can have got since: no
// term above our own was heard. Where one was, they are forgotten: the hub has
// given them to whoever led.
func (w *works) mine(heard uint64, in area.Name) (list []handed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(w.all)) {
		switch one := w.all[id]; {
		case one.End != nil:
		case heard > w.term || one.Area != in:
			delete(w.all, id)
			w.table.DeleteAsync(string(id), w.saved(string(id)))
		default:
			list = append(list, one)
		}
	}
	return list
}

// now is the work as it stands now.
func (h handed) now(t time.Time) area.Handed {
	out := h.Work
	if out.TTLMs >= 0 {
		out.TTLMs = max(0, out.TTLMs-max(0, t.UnixMilli()-h.At))
	}
	return out
}

// take keeps a work; it is among those of taken once it is on disk. False: there are
// too many.
func (w *works) take(one handed) bool {
	id := one.Work.Work
	w.mu.Lock()
	full := len(w.all) >= mostHub
	if !full {
		w.all[id] = one
	}
	w.mu.Unlock()
	if full {
		return false
	}
	w.table.PutAsync(string(id), encode(one), func(err error) {
		w.saved(string(id))(err)
		w.written(id, err)
	})
	return true
}

// written notes that a work is on disk, or forgets it: the hub says it again.
func (w *works) written(id area.WorkID, err error) {
	w.mu.Lock()
	if one, ok := w.all[id]; err == nil && ok {
		one.saved = true
		w.all[id] = one
		w.fresh = append(w.fresh, id)
	} else {
		delete(w.all, id)
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// taken answers the works that have come onto the disk since it was last asked.
func (w *works) taken() (list []handed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range w.fresh {
		if one, ok := w.all[id]; ok {
			list = append(list, one)
		}
	}
	w.fresh = nil
	return list
}

// end keeps what became of a work.
func (w *works) end(id area.WorkID, r *area.Reported, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	one, ok := w.all[id]
	if !ok {
		return
	}
	one.End, one.EndAt = r, at.UnixMilli()
	w.all[id] = one
	w.table.PutAsync(string(id), encode(one), w.saved(string(id)))
}

// forget: the hub has the end of the work.
func (w *works) forget(id area.WorkID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.all[id]; ok {
		delete(w.all, id)
		w.table.DeleteAsync(string(id), w.saved(string(id)))
	}
}

func (w *works) get(id area.WorkID) (handed, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	one, ok := w.all[id]
	return one, ok
}

// ended are those whose end the hub may not know.
func (w *works) ended() (list []handed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(w.all)) {
		if w.all[id].End != nil {
			list = append(list, w.all[id])
		}
	}
	return list
}

func (w *works) len() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range w.all {
		if one.End == nil {
			n++
		}
	}
	return n
}

// saved tells of a write that failed.
func (w *works) saved(what string) func(error) {
	return func(err error) {
		if err != nil {
			w.failed.Add(1)
			w.log.Error("work of the hub not kept", "work", what, "err", err)
		}
	}
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("leader: " + err.Error()) // our own types always have JSON
	}
	return b
}
