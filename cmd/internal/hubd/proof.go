package hubd

import (
	"path/filepath"
	"time"

	"github.com/tacet-hub/tacet/broker/proof"
)

// openProof opens the record of who had which area and what sounded there. Its
// clock counts from here.
func (h *Hub) openProof() (err error) {
	h.proof, err = proof.Open(proof.Config{Dir: filepath.Join(h.cfg.Data, "proof"), Node: h.cfg.Node, Copies: h.copiesDir()}, time.Now, h.log)
	return err
}
