package hubd

import "github.com/tacet-hub/tacet/cmd/internal/conf"

// areasState says whether every area is some node's. Where one is not, it stands
// silent: while the server is away for longer than a reign, and for the wait and the
// settling of whoever takes it next. One that this node grants to its own devices
// meanwhile (on_ledger_loss: per_node) stands per_node.
func (h *Hub) areasState() partState {
	switch st := h.arbiter.Stats(); {
	case st.Vacant > 0:
		return partState{Mode: "silent"}
	case st.PerNode > 0:
		return partState{Mode: conf.PerNode}
	}
	return partState{OK: true}
}
