package hubd

import (
	"context"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/broker/area"
)

// Several nodes may have the same bridge to another broker: each then brings in the same
// messages, for its own clients. What follows from a message for all of the hub, such as
// a reading or a group's event, one of them does.

// linksEvery is how often it is looked whether a bridge reaches the other broker: while
// that changes a message may have its consequences twice, or not.
const linksEvery = 250 * time.Millisecond

// tellLinks tells the other nodes which bridges reach the other broker, until ctx ends.
func (h *Hub) tellLinks(ctx context.Context) error {
	tick := time.NewTicker(linksEvery)
	defer tick.Stop()
	for {
		for _, b := range h.bridges {
			h.relay.LinkSide(area.FromBridge+":"+b.name, b.Connected())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// actor is the node that acts on what a bridge brings in: of those whose bridge reaches
// the other broker the eldest; where none is known to, of those that have the bridge.
func (h *Hub) actor(from string) string {
	list := h.nodes.mux.Plane().Nodes()
	for _, fits := range []func(backplane.Node) bool{
		func(n backplane.Node) bool { return h.relay.SideLinked(n.Name, from) },
		func(n backplane.Node) bool { return n.Name == h.cfg.Node || h.relay.HasSide(n.Name, from) },
	} {
		if eldest, ok := backplane.Eldest(list, fits); ok {
			return eldest.Name
		}
	}
	return h.cfg.Node // the nodes cannot be reached
}

// actedOn is a way to subscribe in which a message that a bridge brings in here, and that
// another node acts on, is that node's.
func (h *Hub) actedOn(subscribe func(string, func(area.Message)) (func(), error)) func(string, func(area.Message)) (func(), error) {
	if h.nodes == nil {
		return subscribe
	}
	return func(filter string, enqueue func(area.Message)) (func(), error) {
		return subscribe(filter, func(m area.Message) {
			if m.Node == "" && strings.HasPrefix(m.From, area.FromBridge+":") {
				if node := h.actor(m.From); node != h.cfg.Node {
					m.Node = node
				}
			}
			enqueue(m)
		})
	}
}
