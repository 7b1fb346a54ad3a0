package hubd

import (
	"net/http"

	"github.com/tacet-hub/tacet/bridge/api"
	"github.com/tacet-hub/tacet/broker/auth"
)

// policy is the content policy of everything but the dashboard, which has its
// own: nothing of it is a page.
const policy = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

// hardened sets the headers that tell browsers to be careful. What a handler
// sets itself stands.
func hardened(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Content-Security-Policy", policy)
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("X-Frame-Options", "DENY") // for browsers that do not know frame-ancestors
		head.Set("Cross-Origin-Resource-Policy", "same-origin")
		if r.TLS != nil {
			head.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// known lets only those pass who may read.
func (h *Hub) known(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, err := h.who.who(r)
		if err == nil {
			err = p.May(auth.Read, "")
		}
		if err != nil {
			api.Fail(w, r, err)
			return
		}
		next(w, r)
	}
}
