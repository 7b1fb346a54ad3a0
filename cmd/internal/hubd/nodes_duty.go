package hubd

import "github.com/tacet-hub/tacet/bridge/backplane"

// hasBroker tells whether a node is a hub, and no mere host of the dashboard.
func hasBroker(n backplane.Node) bool { return n.Note != backplane.WithoutBroker }

// meet notes when it is first known who lives.
func (n *nodes) meet() {
	n.mux.OnConnected(func(up bool) {
		if up {
			n.met.Store(true)
		}
	})
}

// duty tells whether this node is the one that does what one of those that fit has to
// do: the eldest. Until it is known who lives none is; while that cannot be known it is
// who was.
func (h *Hub) duty(fits func(backplane.Node) bool) bool {
	if h.nodes == nil {
		return true
	}
	eldest, ok := backplane.Eldest(h.nodes.mux.Plane().Nodes(), fits)
	return ok && eldest.Name == h.cfg.Node && h.nodes.met.Load()
}
