package hubd

import (
	"encoding/json"
	"net/http"
	"sync/atomic"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/store"
)

// status is what /readyz says of the whole hub.
type status string

const (
	starting status = "starting"
	ready    status = "ready"
	degraded status = "degraded"
	draining status = "draining"
	failed   status = "failed"
)

// partState says whether one part of the hub works.
type partState struct {
	OK   bool   `json:"ok"`
	Mode string `json:"mode,omitempty"`
}

// health answers /healthz and /readyz.
type health struct {
	state atomic.Value // status
	store *store.Store

	broker  func() partState
	bridges func() map[string]partState // to other brokers

	shared    func() partState // the tables of all nodes; nil: this one is alone
	backplane func() partState // to other nodes; nil: there are none
	areas     func() partState // same: whether each area is some node's
}

func (h *health) set(s status) { h.state.Store(s) }

func (h *health) get() status {
	if s, ok := h.state.Load().(status); ok {
		return s
	}
	return starting
}

// alive answers while the process serves at all.
func (h *health) alive(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// judge names each part, and says what they come to. A hub whose disk is full, or
// that does not reach an outside broker or the other nodes, or knows of an area that
// no node has, is "degraded" and serves on; one whose store has failed is "failed":
// it grants nothing more, since what it grants could not be remembered.
func (h *health) judge() (status, map[string]partState) {
	parts := map[string]partState{
		"broker":    h.broker(),
		"store":     storeState(h.store),
		"backplane": {OK: true, Mode: "memory"},
	}
	if h.shared != nil {
		parts["shared"] = h.shared()
	}
	if h.backplane != nil {
		parts["backplane"] = h.backplane()
	}
	away := parts["broker"].Mode == modeExternal && !parts["broker"].OK || !parts["backplane"].OK
	if h.areas != nil {
		parts["areas"] = h.areas()
		away = away || !parts["areas"].OK
	}
	for name, p := range h.bridges() {
		parts[name] = p
		away = away || !p.OK
	}
	state := h.get()
	switch full := parts["store"].Mode == diskFull; {
	case state != ready:
	case !parts["store"].OK && !full, !parts["broker"].OK && parts["broker"].Mode != modeExternal:
		state = failed
	case full || away:
		state = degraded
	}
	return state, parts
}

// report answers the state of the whole, and of each part.
func (h *health) report(w http.ResponseWriter, r *http.Request) {
	state, parts := h.judge()
	code := http.StatusOK
	if state != ready && state != degraded {
		code = http.StatusServiceUnavailable
	}
	writeJSON(w, code, map[string]any{"status": state, "parts": parts})
}

// Modes of the store: damaged means that it works, and that not all of what it
// held is there.
const (
	diskFull = "disk_full"
	damaged  = "damaged"
)

// modeExternal is the mode of a broker that is not ours.
const modeExternal = "external"

func storeState(s *store.Store) partState {
	switch trouble := s.Trouble(); {
	case area.CodeOf(trouble) == area.CodeDiskFull:
		return partState{Mode: diskFull}
	case trouble != nil:
		return partState{Mode: "failed"}
	case s.Quarantined() != "" || s.Stats().Corrupt > 0:
		return partState{OK: true, Mode: damaged}
	}
	return partState{OK: true}
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // an error means that the caller is gone
}
