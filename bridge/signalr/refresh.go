package signalr

import (
	"encoding/json"
	"net/http"
	"time"
)

// refreshed is the answer to a refresh.
type refreshed struct {
	ID       string    `json:"connectionId"`
	At       time.Time `json:"refreshedAt"`
	Lifetime int64     `json:"tokenLifetimeSeconds,omitempty"`
}

// trouble is the answer to a refresh that is refused.
type trouble struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// refresh serves POST …/refresh?id=token: the client shows a newer token for a
// connection that goes on. (dotnet/aspnetcore, PR 67111: statuses and words.)
func (s *Server) refresh(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		notAllowed(w, "POST")
		return
	}
	token := r.URL.Query().Get("id")
	if token == "" {
		tell(w, http.StatusBadRequest, trouble{"missing_connection_token", "The 'id' query string parameter is required."})
		return
	}
	who, err := s.cfg.Authenticate(r)
	if err == nil {
		err = s.admits(who)
	}
	if err != nil || who.anonymous() {
		w.Header().Set("WWW-Authenticate", "Bearer")
		tell(w, http.StatusUnauthorized, trouble{"invalid_token", "Authentication failed."})
		return
	}
	t, status := s.desk.find(token, who.user(s.cfg.UserClaim))
	if status == http.StatusForbidden {
		tell(w, status, trouble{"user_changed", "The connection belongs to another user."})
		return
	}
	var c *Conn
	if t != nil && t.secret() { // who knows a public id alone must not touch the connection
		c = s.desk.conn(t)
	}
	if c == nil {
		tell(w, http.StatusNotFound, trouble{"connection_not_found", "No active connection with the specified ID."})
		return
	}
	c.renew(who)
	tell(w, http.StatusOK, refreshed{c.id, time.Now().UTC(), lifetime(who)})
}

func tell(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache, no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // an error means that the client is gone
}

// secret says whether the ticket's token is known to its client alone.
func (t *ticket) secret() bool { return t.token != t.id }

// lifetime is for how many seconds a proof still holds; 0: for ever, or no more.
func lifetime(who Principal) int64 {
	if who.Expires.IsZero() {
		return 0
	}
	return max(0, int64(time.Until(who.Expires)/time.Second))
}

// renew notes what the client has proved, and until when.
func (c *Conn) renew(who Principal) {
	c.who.Store(&who)
	var at int64
	if !who.Expires.IsZero() {
		at = max(1, int64(c.s.now()+time.Until(who.Expires)))
	}
	c.expires.Store(at)
}
