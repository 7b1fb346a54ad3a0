package hubd

import (
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/redis"
	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/estate"
)

// makeEstate makes what brings the sessions of our broker to the other nodes, and theirs
// here when they are down.
func (h *Hub) makeEstate() (err error) {
	if h.nodes == nil {
		return nil
	}
	h.nodes.estates = redis.NewEstates(h.nodes.server)
	tables := broker.KeptSessions()
	cfg := estate.Config{Node: h.cfg.Node, Tables: tables, Bulk: tables[len(tables)-1], Log: h.log}
	h.nodes.estate, err = estate.New(cfg, rand.Text(), h.store.State(), h.nodes.estates)
	return err
}

// keepSessions names the store of the broker, and where those of other nodes are.
func (h *Hub) keepSessions(c broker.Config) broker.Config {
	c.Store = h.store.State()
	if h.nodes != nil {
		c.Store, c.Estates = h.nodes.estate, h.nodes.estate
	}
	return c
}

// runOurs runs our broker; what it keeps is brought to the other nodes until its end.
func (h *Hub) runOurs(ctx context.Context) error {
	if h.nodes == nil {
		return h.broker.Run(ctx)
	}
	copying, stop := context.WithCancel(context.WithoutCancel(ctx))
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer stop()
	tasks.Go(func() { _ = h.nodes.estate.Run(copying) }) // it has no error
	return h.broker.Run(ctx)
}

// heirParts take over the sessions of nodes that are down.
func (h *Hub) heirParts() []part {
	if h.nodes == nil || h.broker == nil { // an outside one keeps its sessions itself
		return nil
	}
	return []part{{"heirs", h.inheritSessions}}
}

const (
	heirsLook     = 5 * time.Second // between looks for nodes that have left sessions
	heirsLongLook = time.Minute     // the longest, for one that cannot be done with
)

// inheritSessions looks after the sessions of nodes that are down, until ctx ends.
func (h *Hub) inheritSessions(ctx context.Context) error {
	tick := time.NewTicker(heirsLook)
	defer tick.Stop()
	d := deadNodes{lived: map[string]bool{}, missed: map[string]time.Time{}, waits: map[string]time.Duration{}, due: map[string]time.Time{}, patience: h.nodes.timeout}
	for {
		h.adoptDead(ctx, &d)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-h.nodes.others:
		}
	}
}

// adoptDead takes over what nodes have left that are down, where this node is the one
// to do it.
func (h *Hub) adoptDead(ctx context.Context, d *deadNodes) {
	plane := h.nodes.mux.Plane()
	if !plane.Stats().Connected {
		return
	}
	d.see(plane.Nodes())
	if !h.duty(hasBroker) {
		return
	}
	left, err := h.nodes.estate.Nodes(ctx)
	if err != nil {
		return // the next look asks again
	}
	for _, node := range left {
		if node == h.cfg.Node || !d.dead(node, time.Now()) {
			continue
		}
		lives := func() bool {
			return slices.ContainsFunc(plane.Nodes(), func(n backplane.Node) bool { return n.Name == node })
		}
		n, done, err := h.broker.Adopt(ctx, node, lives)
		if err == nil && done {
			err = h.nodes.estate.Drop(ctx, node)
		}
		switch {
		case err != nil:
			h.log.Warn("sessions of a node that is down are not all taken over", "node", node, "n", n, "err", err)
		case n > 0:
			h.log.Info("sessions of a node that is down are taken over", "node", node, "n", n)
		}
		d.again(node, time.Now())
	}
}

// deadNodes knows which nodes are down. It is a pure state machine.
type deadNodes struct {
	lived    map[string]bool      // seen alive by this node
	missed   map[string]time.Time // since when those are not there that it has never seen
	waits    map[string]time.Duration
	due      map[string]time.Time // when it is to be looked after again
	patience time.Duration        // for those that it has never seen
	alive    []backplane.Node
}

func (d *deadNodes) see(alive []backplane.Node) {
	d.alive = alive
	for _, n := range alive {
		d.lived[n.Name] = true
		delete(d.missed, n.Name)
		delete(d.waits, n.Name)
		delete(d.due, n.Name)
	}
}

// dead tells whether a node that has left something is down, and due.
func (d *deadNodes) dead(node string, now time.Time) bool {
	if slices.ContainsFunc(d.alive, func(n backplane.Node) bool { return n.Name == node }) || now.Before(d.due[node]) {
		return false
	}
	if d.lived[node] {
		return true
	}
	if d.missed[node].IsZero() {
		d.missed[node] = now
	}
	return now.Sub(d.missed[node]) >= d.patience
}

// again notes that a node was looked after.
func (d *deadNodes) again(node string, now time.Time) {
	d.waits[node] = min(max(heirsLook, 2*d.waits[node]), heirsLongLook)
	d.due[node] = now.Add(d.waits[node] - heirsLook/2)
}
