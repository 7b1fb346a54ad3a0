package api

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
)

// Fail answers a request outside the API with the problem document that the API
// itself would give. It counts and logs nothing.
func Fail(w http.ResponseWriter, r *http.Request, err error) {
	id := rand.Text()[:16]
	p := problemOf(err, id)
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Request-Id", id)
	advise(h, p.Code, err)
	w.WriteHeader(p.Status)
	body, _ := json.Marshal(p) // strings and numbers only
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}
