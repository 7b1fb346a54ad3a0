package hubd

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/bridge/api"
	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/forward"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware/update"
)

// kindReleases is the question which releases a node has.
const kindReleases = backplane.KindUser + 81

// releasesTime is how long a node is waited for that does not say which releases it
// has: one that was killed a moment ago.
const releasesTime = time.Second

// A release is published at one node. joinReleases has the others know of it.
func (h *Hub) joinReleases(m *backplane.Mux) {
	m.OnAsk(kindReleases, func(context.Context, string, []byte) ([]byte, error) { return json.Marshal(h.updates.releases()) })
}

// releases are those of this node.
func (u *updates) releases() (list []api.Release) {
	for _, m := range u.shelf.Releases() {
		out := api.Release{Arch: m.Arch, Version: m.Version, Bytes: m.Size, SHA256: m.SHA256, BuiltAt: area.At(m.Built)}
		if m.MinVersion != "" {
			out.MinVersion = &m.MinVersion
		}
		list = append(list, out)
	}
	return list
}

// placed is a release, and the node that has it; empty: this one.
type placed struct {
	api.Release
	node string
}

// newest is the newest release for each architecture at all nodes. Of two that are the
// same version, our own counts, and then that of the node whose name comes first: so
// all parts of a download come from one.
func (h *Hub) newest(ctx context.Context) map[string]placed {
	found := map[string]placed{}
	for _, r := range h.updates.releases() {
		found[r.Arch] = placed{r, ""}
	}
	if h.nodes == nil {
		return found
	}
	ctx, stop := context.WithTimeout(ctx, releasesTime)
	defer stop()
	h.nodes.mux.Ask(ctx, kindReleases, nil, nil, func(node string, answer []byte, err error) bool {
		var list []api.Release
		if err != nil || json.Unmarshal(answer, &list) != nil {
			return true
		}
		for _, r := range list {
			has, ok := found[r.Arch]
			newer := update.Compare(r.Version, has.Version)
			if !ok || newer > 0 || newer == 0 && has.node != "" && node < has.node {
				found[r.Arch] = placed{r, node}
			}
		}
		return true
	})
	return found
}

// releaseElsewhere has the node serve a request for a release that has the newest one;
// false: it is for us to answer.
func (h *Hub) releaseElsewhere(w http.ResponseWriter, r *http.Request) bool {
	if h.nodes == nil || r.Header.Get(forward.Header) != "" {
		return false
	}
	node := h.newest(r.Context())[r.PathValue("arch")].node
	return node != "" && h.nodes.forward.Serve(w, r, node)
}

// Releases are the newest ones at all nodes, in the order of their architectures.
func (r rollouts) Releases(ctx context.Context) (list []api.Release) {
	found := r.h.newest(ctx)
	for _, arch := range slices.Sorted(maps.Keys(found)) {
		list = append(list, found[arch].Release)
	}
	return list
}
