package viewd

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"github.com/tacet-hub/tacet/bridge/api"
	"github.com/tacet-hub/tacet/bridge/census"
	"github.com/tacet-hub/tacet/bridge/dashboard"
	"github.com/tacet-hub/tacet/broker/area"
)

// hubPath is where programs and browsers find the hub, as at its nodes.
const hubPath = "/hubs/devices"

func (v *View) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", v.readiness)
	mux.HandleFunc("GET /api/v1/nodes", v.nodes)
	for _, below := range []string{"/api/", "/auth/", "/clips/"} {
		mux.HandleFunc(below, v.atSource)
	}
	mux.Handle("/", dashboard.Handler())
	return hardened(v.hub.At(hubPath, mux))
}

// hardened sets the headers that tell browsers to be careful. What a handler sets itself
// stands.
func hardened(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("X-Frame-Options", "DENY")
		head.Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// readiness says whether the nodes can be reached, and one of them is shown.
func (v *View) readiness(w http.ResponseWriter, _ *http.Request) {
	plane, source := v.connected()
	state := census.Ready
	if !plane || !source {
		state = census.Degraded
	}
	answer(w, http.StatusOK, map[string]any{"status": state, "parts": map[string]any{
		"backplane": map[string]any{"ok": plane, "mode": "redis"}, "hub node": map[string]any{"ok": source},
	}})
}

// nodes lists the nodes as this one sees them, to whom a node of the hub would list
// them. Without one, only what everybody may know is told: the names, and who lives.
func (v *View) nodes(w http.ResponseWriter, r *http.Request) {
	list := v.census.Nodes()
	status, _, err := v.read(r.Context(), map[string]any{claimCookie: r.Header.Get("Cookie"), claimBearer: bearer(r), claimHost: r.Host}, "/api/v1/nodes?limit=1")
	if err == nil && status != http.StatusOK {
		v.atSource(w, r) // who refuses it, in its words
		return
	}
	if err != nil {
		for i, n := range list {
			list[i].Report = census.Report{Kind: n.Kind, State: n.State, StartedAt: n.StartedAt, Areas: []area.Name{}, Backplane: census.Backplane{Mode: n.Backplane.Mode}}
		}
	}
	answer(w, http.StatusOK, map[string]any{"items": list, "next": nil})
}

// atSource has the source serve a request.
func (v *View) atSource(w http.ResponseWriter, r *http.Request) {
	if s := v.window.Source(); s == "" || !v.forward.Serve(w, r, s) {
		api.Fail(w, r, area.Errorf(area.CodeDegraded, "no node of the hub can be reached"))
	}
}

// read reads something at the source, for who shows that.
func (v *View) read(ctx context.Context, shows map[string]any, path string) (status int, body []byte, err error) {
	away := area.Errorf(area.CodeDegraded, "no node of the hub can be reached")
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://hub"+path, nil)
	if err != nil {
		return 0, nil, err
	}
	text := func(claim string) string { s, _ := shows[claim].(string); return s }
	r.Host, r.RemoteAddr = text(claimHost), "127.0.0.1:0"
	for header, claim := range map[string]string{"Cookie": claimCookie, "Authorization": claimBearer} {
		if s := text(claim); s != "" {
			r.Header.Set(header, s)
		}
	}
	page := &sheet{header: http.Header{}, status: http.StatusOK}
	if s := v.window.Source(); s == "" || !v.forward.Serve(page, r, s) {
		return 0, nil, away
	}
	if page.status >= http.StatusInternalServerError {
		return 0, nil, away
	}
	return page.status, page.Bytes(), nil
}

// sheet is what an answer is written on.
type sheet struct {
	bytes.Buffer
	header http.Header
	status int
}

func (s *sheet) Header() http.Header    { return s.header }
func (s *sheet) WriteHeader(status int) { s.status = status }

func answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // an error means that the caller is gone
}
