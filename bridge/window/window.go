package window

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/census"
)

// every is how often a window asks its source.
const every = time.Second

// missedRounds is how many times a source may not answer.
const missedRounds = 3

// Config says what a window is for. All fields are needed.
type Config struct {
	Nodes func() []census.Node // whom it may ask
	Show  func(Event)          // gets each event, in order; it only enqueues
	Lost  func()               // something was missed; it only enqueues
}

// Window is shown what happens at one node of the hub, its source. Make it with [New].
type Window struct {
	cfg Config
	mux *backplane.Mux

	mu     sync.Mutex
	source string // empty: none
	misses int
}

// New makes a window, before the mux runs.
func New(cfg Config, m *backplane.Mux) *Window {
	w := &Window{cfg: cfg, mux: m}
	m.OnHear(kindEvent, w.heard)
	m.OnMissed(func(origin string, partition int, _ uint64) {
		if partition == backplane.Inbox && origin == w.Source() {
			cfg.Lost()
		}
	})
	m.OnNodes(func(list []backplane.Node) {
		if s := w.Source(); s != "" && !slices.ContainsFunc(list, func(n backplane.Node) bool { return n.Name == s }) {
			w.take("")
		}
	})
	return w
}

// Source is the node that is shown; empty: there is none.
func (w *Window) Source() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.source
}

func (w *Window) heard(e backplane.Envelope) {
	var event Event
	if e.Origin == w.Source() && json.Unmarshal(e.Body, &event) == nil {
		w.cfg.Show(event)
	}
}

// Run keeps a source until ctx ends; it then returns nil.
func (w *Window) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		w.round(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// round asks the source to go on, or another node to be it.
func (w *Window) round(ctx context.Context) {
	if s := w.Source(); s != "" {
		switch {
		case w.ask(ctx, s):
			w.misses = 0
			return
		case w.misses < missedRounds:
			w.misses++
			return
		}
		w.take("")
	}
	for _, n := range w.cfg.Nodes() {
		if n.Kind == census.KindHub && (n.State == census.Ready || n.State == census.Degraded) && w.ask(ctx, n.Node) {
			w.misses = 0
			w.take(n.Node)
			return
		}
	}
}

// ask asks a node to show its events for a while.
func (w *Window) ask(ctx context.Context, node string) (ok bool) {
	ctx, cancel := context.WithTimeout(ctx, every)
	defer cancel()
	w.mux.Ask(ctx, kindWatch, []string{node}, nil, func(_ string, _ []byte, err error) bool {
		ok = err == nil
		return true
	})
	return ok
}

// take notes another source. What was between is not known.
func (w *Window) take(node string) {
	w.mu.Lock()
	was := w.source
	w.source = node
	w.mu.Unlock()
	if was != node {
		w.cfg.Lost()
	}
}
