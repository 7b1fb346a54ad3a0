package registry

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/broker/area"
)

// laggards are the nodes of which something may have been missed.
type laggards struct {
	wake chan struct{}
	mu   sync.Mutex
	list map[string]struct{}
}

func (l *laggards) add(node string) {
	l.mu.Lock()
	l.list[node] = struct{}{}
	l.mu.Unlock()
	signal(l.wake)
}

func (l *laggards) drop(node string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.list, node)
}

func (l *laggards) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := slices.Sorted(maps.Keys(l.list))
	clear(l.list)
	return list
}

// How a node is asked for everything.
const (
	askTime  = 5 * time.Second // for one page
	askAgain = time.Second
	askMost  = 5 // times in a row; then it is left until the next gap
)

// catchUp asks nodes for everything that they have, until ctx ends.
func (r *Registry) catchUp(ctx context.Context) {
	if r.mux == nil {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.behind.wake:
		}
		for _, node := range r.behind.take() {
			r.askOften(ctx, node)
		}
	}
}

func (r *Registry) askOften(ctx context.Context, node string) {
	for range askMost {
		r.talk.asked.Add(1)
		err := r.askAll(ctx, node)
		if err == nil || ctx.Err() != nil || errors.Is(err, backplane.ErrNoNode) || errors.Is(err, backplane.ErrGone) {
			return
		}
		r.log.Debug("sensors of another node not known yet", "node", node, "err", err)
		wait := time.NewTimer(askAgain)
		select {
		case <-ctx.Done():
		case <-wait.C:
		}
		wait.Stop()
	}
	if ctx.Err() == nil {
		r.talk.unanswered.Add(1)
		r.log.Warn("another node does not tell its sensors", "node", node)
	}
}

// askAll asks a node for everything that it has heard, page by page. What the node hears
// from then on it tells, and that is heard here.
func (r *Registry) askAll(ctx context.Context, node string) error {
	r.mux.Await(ctx, sensorsTopic)
	after := ""
	for {
		body, err := r.ask(ctx, kindSensors, node, []byte(after), askTime)
		if err != nil {
			return err
		}
		last, err := r.take(node, body, false)
		if err != nil || last == "" {
			return err
		}
		after = string(last)
	}
}

// ask puts a question to one node.
func (r *Registry) ask(ctx context.Context, kind byte, node string, question []byte, patience time.Duration) (answer []byte, err error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	err = backplane.ErrSilent
	r.mux.Ask(ctx, kind, []string{node}, question, func(_ string, body []byte, problem error) bool {
		answer, err = body, problem
		return true
	})
	return answer, err
}

// pageBytes is about how much one answer of a registry has.
const pageBytes = 128 << 10

// page is what this node has heard of the devices after one, by their ids: as much as
// goes into an answer.
func (r *Registry) page(after string) ([]byte, error) {
	list, size := []json.RawMessage{}, 0
	for _, d := range r.ids(nil) {
		if string(d) <= after {
			continue
		}
		p, own := r.partOf(d)
		if !own {
			continue
		}
		one, err := json.Marshal(p)
		if err != nil {
			return nil, err
		}
		if list, size = append(list, one), size+len(one); size > pageBytes {
			break
		}
	}
	return json.Marshal(list)
}

func (r *Registry) partOf(d area.DeviceID) (part, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.devices[d]; e != nil {
		return e.part(d, r.cfg.Node, r.stamp())
	}
	return part{}, false
}
