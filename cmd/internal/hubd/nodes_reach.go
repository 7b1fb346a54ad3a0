package hubd

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
)

// kindReach is the backplane's kind of whether a node reaches the broker that all have;
// all nodes listen to reachTopic.
const (
	kindReach  = backplane.KindUser + 82
	reachTopic = "outside"
)

// reach tells whether a node counts as one that reaches the broker: not once it has been
// without it for short, until it has had it again for long, since what the broker has kept
// for it meanwhile, and hands it then, others have acted on. It is a pure state machine.
type reach struct {
	short, long time.Duration

	gone  bool
	since time.Time // it is as it was last seen to be
	up    bool
}

func (r *reach) see(up bool, now time.Time) bool {
	if r.since.IsZero() || up != r.up {
		r.up, r.since = up, now
	}
	switch lasts := now.Sub(r.since); {
	case !up && lasts >= r.short:
		r.gone = true
	case up && lasts >= r.long:
		r.gone = false
	}
	return !r.gone
}

// reaches is which nodes have said that they do not reach the broker. It is safe for
// concurrent use.
type reaches struct {
	mu   sync.Mutex
	gone map[string]bool
}

func (r *reaches) note(node string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone == nil {
		r.gone = map[string]bool{}
	}
	if ok {
		delete(r.gone, node)
	} else {
		r.gone[node] = true
	}
}

func (r *reaches) of(node string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.gone[node]
}

// keep forgets the nodes that do not live.
func (r *reaches) keep(list []backplane.Node) {
	lives := map[string]bool{}
	for _, n := range list {
		lives[n.Name] = true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for node := range r.gone {
		if !lives[node] {
			delete(r.gone, node)
		}
	}
}

// judge finds out whether this node has the say: of those that reach the broker the
// eldest has; where none does, of all.
func (h *Hub) judge() {
	n := h.nodes
	n.say.judge(func() bool {
		fits := func(x backplane.Node) bool { return hasBroker(x) && n.reaches.of(x.Name) }
		if _, any := backplane.Eldest(n.mux.Plane().Nodes(), fits); !any {
			fits = hasBroker
		}
		return h.duty(fits)
	})
}

// otherReaches tells whether another node has the broker. Where none has, as while the
// broker is down, areas stay where they are.
func (h *Hub) otherReaches() bool {
	return slices.ContainsFunc(h.nodes.mux.Plane().Nodes(), func(x backplane.Node) bool {
		return x.Name != h.cfg.Node && hasBroker(x) && h.nodes.reaches.of(x.Name)
	})
}

// joinReach has it be known which nodes reach the broker.
func (h *Hub) joinReach() {
	n := h.nodes
	n.mux.Want(reachTopic, true)
	n.mux.OnHear(kindReach, func(e backplane.Envelope) {
		n.reaches.note(e.Origin, len(e.Body) == 1 && e.Body[0] == 1)
		h.judge()
	})
	n.mux.OnNodes(func(list []backplane.Node) {
		n.reaches.keep(list)
		h.judge()
	})
	n.mux.OnConnected(func(bool) { h.judge() })
}

// tellReach tells the other nodes whether this one reaches the broker, until ctx ends: at
// each change, and now and again, for who comes later.
func (h *Hub) tellReach(ctx context.Context) error {
	tick := time.NewTicker(linksEvery)
	defer tick.Stop()
	r := reach{short: h.cfg.Redis.Heartbeat, long: h.cfg.Redis.NodeTimeout}
	said, told := true, time.Time{}
	for {
		now := time.Now()
		if ok := r.see(h.outside.Connected(), now); ok != said || now.Sub(told) >= h.cfg.Redis.Heartbeat {
			said, told = ok, now
			h.nodes.reaches.note(h.cfg.Node, ok)
			body := []byte{0}
			if ok {
				body[0] = 1
			}
			_ = h.nodes.mux.Publish(reachTopic, backplane.Envelope{Kind: kindReach, Body: body}) // it is said again
			h.judge()
		}
		h.arbiter.Reach(said || !h.otherReaches())
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
