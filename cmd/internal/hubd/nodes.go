package hubd

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/bridge"
	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/courier"
	"github.com/tacet-hub/tacet/bridge/forward"
	"github.com/tacet-hub/tacet/bridge/presence"
	"github.com/tacet-hub/tacet/bridge/redis"
	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/window"
	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/estate"
	"github.com/tacet-hub/tacet/broker/reign"
	"github.com/tacet-hub/tacet/scheduler"
)

// nodes is what joins this hub process with others: the backplane, and the ledger
// of areas. A hub that is alone has none.
type nodes struct {
	server *redis.Server
	mux    *backplane.Mux
	hub    *backplane.Cluster
	ledger *redis.Reigns
	keeper *reign.Keeper
	index  uint64

	courier   *courier.Courier       // see nodes_clips.go
	forward   *forward.Forwarder     // see nodes_clients.go
	directory *presence.Directory    // see nodes_clients.go
	tables    *redis.Tables          // see nodes_store.go
	records   *redis.Records         // see nodes_proof.go
	lacks     atomic.Pointer[string] // see nodes_store.go
	shows     *window.Source         // see nodes_census.go
	met       atomic.Bool            // see nodes_duty.go
	estates   *redis.Estates         // see nodes_heirs.go
	estate    *estate.Mirror         // what this node would leave
	others    chan struct{}          // holds one: the nodes that live have changed
	timeout   time.Duration          // after which a node that is silent is down
	say       say                    // see nodes_outside.go
	reaches   reaches                // see nodes_reach.go
	log       *redis.Log             // of what groups had; see nodes_clients.go
	marks     *redis.Marks           // where who left them
}

// kindWord is the backplane's kind of what arbiters say to each other; all nodes
// listen to wordTopic.
const (
	kindWord  = backplane.KindUser + 2
	wordTopic = "areas"
)

// hubName is how the arbiters of all nodes together call themselves.
const hubName = "hub"

// joinServer makes the connection to the server of the nodes, where one is configured.
func (h *Hub) joinServer() (err error) {
	if h.cfg.Redis.URL == "" {
		return nil
	}
	n := &nodes{others: make(chan struct{}, 1)}
	cfg := redis.Config{URL: h.cfg.Redis.URL, Node: h.cfg.Node, Prefix: h.cfg.Redis.Prefix, Heartbeat: h.cfg.Redis.Heartbeat, NodeTimeout: h.cfg.Redis.NodeTimeout, Log: h.log}
	if cfg.Home, err = h.nodeHome(); err != nil {
		return err
	}
	if n.server, err = redis.NewServer(cfg); err != nil {
		return err
	}
	n.ledger, n.timeout = redis.NewReigns(n.server), cfg.NodeTimeout
	h.nodes = n
	return nil
}

// makeNodes makes what joins this process with others. life is this start's name.
func (h *Hub) makeNodes(life string) (err error) {
	n := h.nodes
	if n == nil {
		return nil
	}
	plane := redis.NewPlane(n.server)
	n.mux = backplane.NewMux(plane)
	n.hub = backplane.NewCluster(n.mux)
	h.joinRelay()
	h.joinProof()
	h.joinReleases(n.mux)
	if err = h.nameIsFree(plane); err != nil {
		return err
	}
	if n.index, err = h.nodeIndex(); err != nil {
		return err
	}
	if n.keeper, err = reign.New(reign.Config{Node: h.cfg.Node, Life: life, Index: n.index, Log: h.log}, n.ledger, h.clock); err != nil {
		return err
	}
	n.mux.OnHear(kindWord, func(e backplane.Envelope) { h.arbiter.Hear(e.Origin, e.Body) })
	n.mux.OnMissed(func(origin string, _ int, _ uint64) { h.arbiter.Missed(origin) })
	n.mux.OnNodes(func(list []backplane.Node) {
		names := make([]string, len(list))
		for i, node := range list {
			names[i] = node.Name
		}
		h.arbiter.NodesLive(names)
		select {
		case n.others <- struct{}{}:
		default:
		}
	})
	n.shows = window.NewSource(n.mux, time.Now)
	if h.relay != nil {
		n.shows.OnWatch(func(on bool) { h.relay.Want(bridge.NoteTopics, on) })
	}
	n.mux.Want(wordTopic, true)
	n.meet()
	h.joinOutside()
	n.courier = courier.New(n.mux, h.clips, n.server, h.log)
	h.health.backplane, h.health.areas = h.backplaneState, h.areasState
	h.makeForward(n)
	h.makeDirectory(n)
	n.log, n.marks = redis.NewLog(n.server, numbered), redis.NewMarks(n.server)
	return nil
}

// nodeIndex is this node's number among those that may arbitrate: given once by the
// server, and kept here, so that a hub starts without the server too.
func (h *Hub) nodeIndex() (uint64, error) {
	table := h.store.Table("node")
	kept := -1
	err := table.Load(func(key string, value []byte) error {
		if key == "index" && len(value) == 8 {
			kept = int(binary.LittleEndian.Uint64(value))
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	index, err := h.nodes.ledger.Index(context.Background(), h.cfg.Node, kept, area.FirstMember)
	switch {
	case err != nil && kept >= 0:
		h.log.Warn("server of the other nodes is away", "node", h.cfg.Node, "err", err)
		return uint64(kept), nil
	case err != nil:
		return 0, fmt.Errorf("redis: the first start of a node needs the server: %w", err)
	}
	return index, table.Put(context.Background(), "index", binary.LittleEndian.AppendUint64(nil, index))
}

// arbiters is how the arbiter knows the other nodes; nil: there are none.
func (h *Hub) arbiters() *arbiter.Nodes {
	if h.nodes == nil {
		return nil
	}
	return &arbiter.Nodes{Hub: hubName, Reigns: h.nodes.keeper, Wire: words{h.nodes.mux}, Speaks: h.whoSpeaks()}
}

// arbiterName is how devices know the arbiter of this hub.
func (h *Hub) arbiterName() string {
	if h.nodes == nil {
		return h.cfg.Node
	}
	return hubName
}

// arbiterIndex numbers the terms of this node's arbiter.
func (h *Hub) arbiterIndex() uint64 {
	if h.nodes == nil {
		return 0
	}
	return h.nodes.index
}

// cluster is how the device hub knows the other nodes; nil: there are none.
func (h *Hub) cluster() signalr.Cluster {
	switch {
	case h.nodes == nil:
		return nil
	case h.relay == nil:
		return h.nodes.hub
	}
	return noting{h.nodes.hub, h.relay}
}

// firings takes the orders of schedules: each firing once for all nodes.
func (h *Hub) firings() scheduler.Orders {
	if h.nodes == nil {
		return firings{h.orders}
	}
	return firstFirings{firings{h.orders}, h.nodes.server}
}

// firstFirings lets the node make all orders of a firing that is the first to say so
// at the server. While that is away no node does: nothing could be granted.
type firstFirings struct {
	firings
	server *redis.Server
}

// firingKept outlives every firing that a node may make late.
const firingKept = 48 * time.Hour

func (x firstFirings) Accept(ctx context.Context, r area.OrderRequest, by scheduler.By) (area.Order, error) {
	at, _, _ := strings.Cut(by.Key, "/") // the instant, without the location
	switch first, err := x.server.First(ctx, "firing:"+by.Schedule+":"+at, firingKept); {
	case err != nil:
		return area.Order{}, area.Errorf(area.CodeDegraded, "whether another node has made it is not known: %s", err)
	case !first:
		return area.Order{}, area.Errorf(area.CodeExists, "another node has made it")
	}
	return x.firings.Accept(ctx, r, by)
}

// words carries what arbiters say over the backplane.
type words struct{ mux *backplane.Mux }

func (w words) Send(node string, b []byte) error {
	return w.mux.Plane().Send(node, backplane.Envelope{Kind: kindWord, Body: b})
}

func (w words) Spread(b []byte) error {
	return w.mux.Publish(wordTopic, backplane.Envelope{Kind: kindWord, Body: b})
}

// nodeParts are the parts that join the nodes. They serve the arbiter to its end.
func (h *Hub) nodeParts() []part {
	if h.nodes == nil {
		return nil
	}
	return append(append(append(append(h.relayParts(), h.outsideParts()...), h.heirParts()...), h.sharedParts()...), []part{{"backplane", h.nodes.mux.Run}, {"replay", h.nodes.log.Run}, {"marks", h.nodes.marks.Run}, {"areas", h.nodes.keeper.Run}, {"clips", h.nodes.courier.Run}, {"records", h.followProof}, {"records in common", h.mirrorProof}}...)
}

// knowsNodes tells whether it is known who else is there.
func (h *Hub) knowsNodes() bool {
	return h.nodes == nil || h.nodes.mux.Plane().Stats().Connected
}

// closeNodes ends the connections to the server.
func (h *Hub) closeNodes() {
	if h.nodes != nil {
		h.nodes.ledger.Close()
		h.nodes.tables.Close()
		if h.nodes.estates != nil {
			h.nodes.estates.Close()
		}
		h.nodes.closeRecords()
		h.nodes.server.Close()
	}
}

// backplaneState says whether other nodes can be reached. While they cannot, the hub
// serves what it can alone: it is degraded.
func (h *Hub) backplaneState() partState {
	return partState{OK: h.nodes.mux.Plane().Stats().Connected, Mode: "redis"}
}

// nodeStats adds what the parts that join the nodes count.
func (h *Hub) nodeStats(to map[string]func() any) map[string]func() any {
	if n := h.nodes; n != nil {
		to["backplane"] = func() any { return n.mux.Plane().Stats() }
		to["backplane_questions"] = func() any { return n.mux.Stats() }
		to["shows"] = func() any { return n.shows.Stats() }
		to["shared"] = func() any { return h.shared.Stats() }
		to["census"] = func() any { return h.census.Stats() }
		to["clips_nodes"] = func() any { return n.courier.Stats() }
		if h.relay != nil {
			to["relay"] = func() any { return h.relay.Stats() }
		}
		if n.estate != nil {
			to["estate"] = func() any { return n.estate.Stats() }
		}
		to["replay_marks"] = func() any { return n.marks.Stats() }
		to["replay_nodes"] = func() any { return n.log.Stats() }
		to["presence_nodes"] = func() any { return n.directory.Stats() }
		to["forward"] = func() any { return n.forward.Stats() }
		to["reigns"] = func() any { return n.keeper.Stats() }
	}
	return to
}
