package hubd

import (
	"context"
	"path/filepath"

	"github.com/tacet-hub/tacet/bridge/backplane"
)

// kindProof is the backplane's kind of what the books of the nodes ask each other.
const kindProof = backplane.KindUser + 52

// copiesDir has what other nodes have recorded; none where there are none.
func (h *Hub) copiesDir() string {
	if h.cfg.Redis.URL == "" {
		return ""
	}
	return filepath.Join(h.cfg.Data, "proof-of")
}

// joinProof has this node's record copied by the others.
func (h *Hub) joinProof() {
	h.nodes.mux.OnAsk(kindProof, func(_ context.Context, _ string, body []byte) ([]byte, error) { return h.proof.Answer(body) })
}

// followProof copies the records of the others.
func (h *Hub) followProof(ctx context.Context) error { return h.proof.Follow(ctx, books{h.nodes.mux}, nil) }

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
