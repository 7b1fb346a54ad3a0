package hubd

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/order"
)

// Kinds of what the order services of the nodes say to each other.
const (
	kindTakeBack = backplane.KindUser + 40
	kindReport   = backplane.KindUser + 41
)

// takeBackTime is how long the node that has an order may take to cancel it: it waits
// 2 s for the end itself.
const takeBackTime = 4 * time.Second

// openOrders opens the orders that are kept, and joins them with those of the other
// nodes, where there are some.
func (h *Hub) openOrders() (order.Store, *order.Nodes, error) {
	if h.nodes == nil {
		kept, err := order.NewDurable(h.shared.Table("orders"), 0, h.log)
		return kept, nil, err
	}
	kept, err := order.NewShared(h.shared.Table("orders"), h.cfg.Node, h.nodes.index, 0, h.log)
	if err != nil {
		return nil, nil, err
	}
	h.nodes.mux.OnAsk(kindTakeBack, h.takeBack)
	h.nodes.mux.OnHear(kindReport, h.reported)
	return kept, &order.Nodes{Self: h.cfg.Node, Orders: kept, Keys: h.shared.Table("idempotency"), Peers: orderPeers{h}}, nil
}

// orderPeers is the order services of the other nodes.
type orderPeers struct{ h *Hub }

// takingBack is the question to cancel an order, and tookBack the answer.
type (
	takingBack struct {
		ID     area.WorkID `json:"id"`
		Reason string      `json:"reason"`
	}
	tookBack struct {
		Order  *area.Order `json:"order,omitempty"`
		Code   area.Code   `json:"code,omitempty"`
		Detail string      `json:"detail,omitempty"`
	}
)

// TakeBack implements order.Peers.
func (p orderPeers) TakeBack(ctx context.Context, node string, id area.WorkID, reason string) (area.Order, error) {
	ctx, stop := context.WithTimeout(ctx, takeBackTime)
	defer stop()
	question, err := json.Marshal(takingBack{id, reason})
	if err != nil {
		return area.Order{}, err
	}
	var a tookBack
	err = area.Errorf(area.CodeDegraded, "node %s, which has the order, does not answer", node)
	p.h.nodes.mux.Ask(ctx, kindTakeBack, []string{node}, question, func(_ string, b []byte, failed error) bool {
		if failed == nil {
			err = json.Unmarshal(b, &a)
		}
		return true
	})
	switch {
	case err != nil:
		return area.Order{}, err
	case a.Order == nil:
		return area.Order{}, area.Errorf(a.Code, "%s", a.Detail)
	}
	return *a.Order, nil
}

// takeBack cancels an order of this node for another.
func (h *Hub) takeBack(ctx context.Context, _ string, body []byte) ([]byte, error) {
	var q takingBack
	if err := json.Unmarshal(body, &q); err != nil {
		return nil, err
	}
	o, err := h.orders.TakeBack(ctx, q.ID, q.Reason)
	if err != nil {
		return json.Marshal(tookBack{Code: area.CodeOf(err), Detail: err.Error()})
	}
	return json.Marshal(tookBack{Order: &o})
}

// reportWord is a report on its way to the node that has the order.
type reportWord struct {
	Area   area.Name      `json:"area"`
	Report *area.Reported `json:"report"`
}

// Report implements order.Peers.
func (p orderPeers) Report(node string, r area.Report) {
	b, err := json.Marshal(reportWord{r.Area, r.Reported(r.Ago)})
	if err == nil {
		err = p.h.nodes.mux.Plane().Send(node, backplane.Envelope{Kind: kindReport, Body: b})
	}
	if err != nil {
		p.h.log.Debug("report not handed to the order's node", "work", r.Work, "node", node, "err", err)
	}
}

// reported takes in the report of another node on an order of this one.
func (h *Hub) reported(e backplane.Envelope) {
	var w reportWord
	if err := json.Unmarshal(e.Body, &w); err != nil || w.Report == nil {
		h.log.Warn("report of another node dropped", "node", e.Origin, "err", err)
		return
	}
	reporter{h}.Report(w.Report.Report(w.Area))
}

// orderParts go on with the orders of nodes that are gone.
func (h *Hub) orderParts() []part {
	if h.nodes == nil {
		return nil
	}
	return []part{{"orders of other nodes", h.inheritOrders}}
}

// inheritOrders takes over the orders of nodes that are gone, until ctx ends.
func (h *Hub) inheritOrders(ctx context.Context) error {
	every := time.NewTicker(h.cfg.Redis.Heartbeat)
	defer every.Stop()
	gone := absent{seen: h.cfg.Redis.Heartbeat, unseen: h.cfg.Redis.NodeTimeout}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
		plane := h.nodes.mux.Plane()
		for _, node := range gone.over(h.orders.Owners(), plane.Nodes(), plane.Stats().Connected, time.Now()) {
			if err := h.orders.Inherit(ctx, node); err != nil {
				h.log.Warn("orders of a node that is gone are not all taken over", "node", node, "err", err)
			}
		}
	}
}

// absent tells which nodes are gone for so long that others go on with their orders:
// one that was seen alive has taken leave, or is silent for the node timeout, before
// the list of nodes is without it; one that was never seen may be about to start.
type absent struct {
	seen, unseen time.Duration
	lived        map[string]bool
	since        map[string]time.Time
}

// over is the owners that are gone by now. While the others cannot be reached nobody
// is.
func (a *absent) over(owners []string, live []backplane.Node, connected bool, now time.Time) (gone []string) {
	if a.lived == nil {
		a.lived, a.since = map[string]bool{}, map[string]time.Time{}
	}
	for _, n := range live {
		a.lived[n.Name] = true
	}
	for _, node := range owners {
		if !connected || slices.ContainsFunc(live, func(n backplane.Node) bool { return n.Name == node }) {
			delete(a.since, node)
			continue
		}
		wait := a.unseen
		if a.lived[node] {
			wait = a.seen
		}
		if a.since[node].IsZero() {
			a.since[node] = now
		}
		if now.Sub(a.since[node]) >= wait {
			gone = append(gone, node)
		}
	}
	return gone
}
