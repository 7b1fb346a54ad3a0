package hubd

import (
	"context"
	"path/filepath"
	"time"

	"github.com/tacet-hub/tacet/broker/proof"
)

// openProof opens the record of who had which area and what sounded there. Its
// clock counts from here.
func (h *Hub) openProof(ctx context.Context) (err error) {
	cfg := proof.Config{Dir: filepath.Join(h.cfg.Data, "proof"), Node: h.cfg.Node, Copies: h.copiesDir(), CommonBytes: h.cfg.Redis.ProofBytes}
	if h.proof, err = proof.Open(cfg, time.Now, h.log); err == nil {
		h.regainProof(ctx)
	}
	return err
}
