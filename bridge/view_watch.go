package bridge

import (
	"maps"
	"slices"
	"sync"
)

// watchers are who wants to know that an area or a player is shown differently.
type watchers struct {
	mu   sync.Mutex // guards what follows
	next int
	tell map[int]func()
}

// Watch has changed called when areas or players may be shown differently from before,
// after the reading methods show them so: who watches the roster, the orders or the bus
// may hear of a change before the view does. changed is called by Run's goroutine and only
// signals. Nothing is told of sensors and of readings.
func (v *View) Watch(changed func()) (cancel func()) {
	w := &v.watchers
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.next
	w.next++
	if w.tell == nil {
		w.tell = map[int]func(){}
	}
	w.tell[n] = changed
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.tell, n)
	}
}

// changed tells everybody.
func (w *watchers) changed() {
	w.mu.Lock()
	tell := slices.Collect(maps.Values(w.tell))
	w.mu.Unlock()
	for _, f := range tell {
		f()
	}
}
