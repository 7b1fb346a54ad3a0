package hubd

import (
	"context"
	"os"
	"path/filepath"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/redis"
)

// kindProof is the backplane's kind of what the books of the nodes ask each other.
const kindProof = backplane.KindUser + 52

// copiesDir has what other nodes have recorded; none where there are none, and never
// were in this data directory or the one that it was restored from.
func (h *Hub) copiesDir() string {
	dir := filepath.Join(h.cfg.Data, "proof-of")
	if _, err := os.Stat(dir); err != nil && h.cfg.Redis.URL == "" {
		return ""
	}
	return dir
}

// regainProof takes back what the server has of this node's record and its disk has not,
// before it is gone on with. Where the server is away what it has goes aside.
func (h *Hub) regainProof(ctx context.Context) {
	if h.nodes == nil {
		return
	}
	h.nodes.records = redis.NewRecords(h.nodes.server)
	ctx, stop := context.WithTimeout(ctx, catchTime)
	defer stop()
	if err := h.proof.Regain(ctx, h.nodes.records); err != nil {
		h.log.Warn("what the nodes have in common of this one's record is not known", "node", h.cfg.Node, "err", err)
	}
}

// closeRecords ends the connection over which records go to the server.
func (n *nodes) closeRecords() {
	if n.records != nil {
		n.records.Close()
	}
}

// joinProof has this node's record copied by the others.
func (h *Hub) joinProof() {
	h.nodes.mux.OnAsk(kindProof, func(_ context.Context, _ string, body []byte) ([]byte, error) { return h.proof.Answer(body) })
}

// followProof copies the records of the others, of those that do not live from the
// server.
func (h *Hub) followProof(ctx context.Context) error {
	return h.proof.Follow(ctx, books{h.nodes.mux}, h.nodes.records)
}

// mirrorProof brings this node's record to the server.
func (h *Hub) mirrorProof(ctx context.Context) error {
	return h.proof.Mirror(ctx, h.nodes.records, books{h.nodes.mux}.Nodes)
}

// books are those of the other nodes.
type books struct{ mux *backplane.Mux }

// Nodes implements proof.Others.
func (b books) Nodes() (names []string) {
	for _, n := range b.mux.Plane().Nodes() {
		names = append(names, n.Name)
	}
	return names
}

// Ask implements proof.Others.
func (b books) Ask(ctx context.Context, node string, question []byte) (answer []byte, err error) {
	err = backplane.ErrGone
	b.mux.Ask(ctx, kindProof, []string{node}, question, func(_ string, body []byte, problem error) bool {
		answer, err = body, problem
		return true
	})
	return answer, err
}
