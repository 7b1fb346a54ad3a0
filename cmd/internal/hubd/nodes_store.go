package hubd

import (
	"context"
	"time"

	"github.com/tacet-hub/tacet/bridge/redis"
	"github.com/tacet-hub/tacet/broker/shared"
	"github.com/tacet-hub/tacet/scheduler"
)

// sharedTables are the tables of the store that all nodes have. What the configuration
// file says is not among it: each node has its own file, and they should be the same.
var sharedTables = []string{"absences", "areas", "assignments", "auth", "idempotency", "mappings", "orders", "peers", "rollouts", "schedules", "seen", "sensors", "sign-ins"}

// catchTime is how long a start waits for what the other nodes have changed meanwhile.
const catchTime = 2 * time.Second

// openShared opens the tables that all nodes have, and brings them up to date before
// anybody reads them. Where the server is away that is done when it is back.
func (h *Hub) openShared(ctx context.Context) (err error) {
	cfg := shared.Config{Node: h.cfg.Node, Tables: sharedTables, Log: h.log}
	if h.nodes == nil {
		h.shared, err = shared.New(cfg, h.store, nil)
		return err
	}
	h.nodes.tables = redis.NewTables(h.nodes.server)
	if h.shared, err = shared.New(cfg, h.store, h.nodes.tables); err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, catchTime)
	defer stop()
	if err := h.shared.Catch(ctx); err != nil {
		h.log.Warn("what other nodes have changed is not known yet", "node", h.cfg.Node, "err", err)
	}
	h.health.shared = h.sharedState
	return nil
}

// sharedParts keep the tables one with the other nodes', and look how the server keeps
// what it is given.
func (h *Hub) sharedParts() []part {
	if h.nodes == nil {
		return nil
	}
	return []part{{"shared", h.shared.Run}, {"durability", h.askDurability}}
}

// askDurability says what the server lacks to keep what it is given, once it can be
// asked.
func (h *Hub) askDurability(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		lacks, err := h.nodes.server.Durability(ctx)
		if err == nil {
			if lacks != "" {
				h.log.Warn("server of the nodes may lose what it has: the nodes fill it again, but for a change that only a lost node had", "node", h.cfg.Node, "err", lacks)
			}
			h.nodes.lacks.Store(&lacks)
			break
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	<-ctx.Done()
	return nil
}

// sharedState says whether what is changed here reaches the other nodes, and what
// the server lacks to keep it.
func (h *Hub) sharedState() partState {
	s := partState{OK: h.shared.Stats().Connected}
	if lacks := h.nodes.lacks.Load(); lacks != nil {
		s.Mode = *lacks
	}
	return s
}

// scheduleChanged takes in the schedules of other nodes.
func (h *Hub) scheduleChanged(kept *scheduler.Durable) func(id string, value []byte) {
	return func(id string, value []byte) {
		r, there, err := kept.Changed(id, value)
		if err != nil {
			h.log.Error("stored schedule cannot be read", "rule", id, "err", err)
			return
		}
		h.schedule.ChangedElsewhere(id, r, there)
	}
}
