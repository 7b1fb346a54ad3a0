package bridge

import (
	"sync"
	"sync/atomic"

	"github.com/tacet-hub/tacet/broker/area"
)

// mostElsewhere is how many readings of other nodes may wait.
const mostElsewhere = 16_384

// elsewhere gathers the readings of other nodes until the pump shows them: the newest of
// each key. Over mostElsewhere keys the newest is dropped and counted.
type elsewhere struct {
	wake    chan struct{} // has room for one signal
	dropped atomic.Uint64

	mu   sync.Mutex // guards what follows
	keys []string   // in the order in which they came
	wait map[string]area.Reading
}

func newElsewhere() *elsewhere {
	return &elsewhere{wake: make(chan struct{}, 1), wait: map[string]area.Reading{}}
}

func (e *elsewhere) put(r area.Reading) {
	key := readingKey(r)
	e.mu.Lock()
	_, waits := e.wait[key]
	full := !waits && len(e.keys) >= mostElsewhere
	if !waits && !full {
		e.keys = append(e.keys, key)
	}
	if !full {
		e.wait[key] = r
	}
	e.mu.Unlock()
	if full {
		e.dropped.Add(1)
		return
	}
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// take empties it.
func (e *elsewhere) take() (list []area.Reading) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, key := range e.keys {
		list = append(list, e.wait[key])
	}
	e.keys = nil
	clear(e.wait)
	return list
}

// Show tells the watchers of a reading that another node of the hub has heard. It never
// blocks.
func (p *Pump) Show(r area.Reading) { p.elsewhere.put(r) }

// showElsewhere tells the watchers what other nodes have heard.
func (p *Pump) showElsewhere() {
	for _, r := range p.elsewhere.take() {
		p.showReading(r)
	}
}

// showReading tells the watchers of a reading.
func (p *Pump) showReading(r area.Reading) {
	p.count.readings.Add(1)
	offer(&p.views.readings, r)
	stateToWatchers(p.Hub, r.Area, eventReading, readingKey(r), r)
}
