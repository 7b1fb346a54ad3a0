package signalr

import (
	"net/http"
	"strings"
)

// At serves the hub at a path, whose case does not count (as in ASP.NET), and
// everything else by otherwise. It never redirects: a redirected POST comes back
// as a GET.
func (s *Server) At(path string, otherwise http.Handler) http.Handler {
	path = strings.TrimRight(path, "/")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hubPath(r.URL.Path, path) {
			s.ServeHTTP(w, r)
			return
		}
		otherwise.ServeHTTP(w, r)
	})
}

// hubPath says whether a request's path is that of the hub, or one of those
// below it.
func hubPath(got, hub string) bool {
	got = strings.TrimRight(got, "/")
	if len(got) < len(hub) || !strings.EqualFold(got[:len(hub)], hub) {
		return false
	}
	rest := strings.ToLower(got[len(hub):])
	return rest == "" || rest == "/negotiate" || rest == "/refresh"
}
