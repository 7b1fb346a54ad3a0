package signalr

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// ServeHTTP serves the hub: POST …/negotiate, POST …/refresh, and the transports
// at the hub's path itself. Statuses are those of TransportProtocols.md and the
// vendor's server. For a WebSocket it returns when the connection is up, for the
// other transports when the request is answered. Writing and reading deadlines
// of the http.Server are lifted for answers that have no end. A request for a
// connection of another node goes there; see [Config].Forward.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.elsewhere(w, r) {
		return
	}
	allowed := s.cors(w, r)
	if r.Method == http.MethodOptions {
		preflight(w, r)
		return
	}
	if !allowed {
		http.Error(w, "origin not allowed", http.StatusForbidden)
		return
	}
	part := lastPart(r.URL.Path)
	if part == "refresh" {
		s.refresh(w, r)
		return
	}
	who, ok := s.authenticate(w, r)
	if !ok {
		return
	}
	if part == "negotiate" {
		s.negotiate(w, r, who)
		return
	}
	s.open(w, r, who)
}

// lastPart returns the last element of a path in lower case.
func lastPart(path string) string {
	path = strings.ToLower(strings.TrimRight(path, "/"))
	return path[strings.LastIndexByte(path, '/')+1:]
}

// authenticate says who asks, or answers that he may not. These answers have no
// body, as the vendor's have not: its client shows the body in place of the status.
func (s *Server) authenticate(w http.ResponseWriter, r *http.Request) (Principal, bool) {
	who, err := s.cfg.Authenticate(r)
	if err == nil {
		err = s.admits(who)
	}
	switch {
	case err == nil:
		return who, true
	case errors.Is(err, ErrForbidden):
		w.WriteHeader(http.StatusForbidden)
	default:
		w.Header().Set("WWW-Authenticate", "Bearer")
		w.WriteHeader(http.StatusUnauthorized)
	}
	return who, false
}

// offer is the answer to negotiate.
type offer struct {
	Version     int         `json:"negotiateVersion"`
	ID          string      `json:"connectionId,omitempty"`
	Token       string      `json:"connectionToken,omitempty"`
	Transports  []available `json:"availableTransports,omitempty"`
	Stateful    bool        `json:"useStatefulReconnect,omitempty"`
	Lifetime    int64       `json:"tokenLifetimeSeconds,omitempty"`
	URL         string      `json:"url,omitempty"`
	AccessToken string      `json:"accessToken,omitempty"`
	Error       string      `json:"error,omitempty"`
}

func (s *Server) negotiate(w http.ResponseWriter, r *http.Request, who Principal) {
	if r.Method != http.MethodPost {
		notAllowed(w, "POST")
		return
	}
	version, reason := negotiateVersion(r.URL.Query())
	if reason != "" {
		answer(w, offer{Error: reason})
		return
	}
	if to := s.cfg.Redirect(r, who); to.URL != "" {
		answer(w, offer{Version: version, URL: to.URL, AccessToken: to.AccessToken})
		return
	}
	if s.full() {
		unavailable(w)
		return
	}
	wish := wish{user: who.user(s.cfg.UserClaim), secret: version > 0, stateful: s.resumes(r)}
	t, status := s.desk.issue(wish, s.now()+s.cfg.DisconnectTimeout)
	if t == nil {
		refuse(w, status)
		return
	}
	o := offer{Version: version, ID: t.id, Transports: s.cfg.Transports.offers(), Stateful: t.stateful}
	if version > 0 {
		o.Token = t.token
		o.Lifetime = lifetime(who)
	}
	answer(w, o)
}

// resumes says whether a client asks for stateful reconnect and gets it. It must
// not get it unasked: its start would fail.
func (s *Server) resumes(r *http.Request) bool {
	return s.cfg.AllowStatefulReconnects && s.cfg.Transports&WebSockets != 0 &&
		strings.EqualFold(r.URL.Query().Get("useStatefulReconnect"), "true")
}

// negotiateVersion chooses the version of the answer, or says why there is
// none.
func negotiateVersion(q url.Values) (version int, reason string) {
	asked := q.Get("negotiateVersion")
	if asked == "" {
		return 0, ""
	}
	n, err := strconv.ParseInt(asked, 10, 32)
	switch {
	case err != nil:
		return 0, fmt.Sprintf("The client requested an invalid protocol version '%s'", asked)
	case n < 0:
		return 0, fmt.Sprintf("The client requested version '%d', but the server does not support this version.", n)
	}
	return int(min(n, 1)), ""
}

func answer(w http.ResponseWriter, o offer) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache, no-store")
	_ = json.NewEncoder(w).Encode(o) // an error means that the client is gone
}

func notAllowed(w http.ResponseWriter, methods string) {
	w.Header().Set("Allow", methods)
	http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
}

func unavailable(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "2")
	http.Error(w, "the server takes no more connections now", http.StatusServiceUnavailable)
}

// refuse answers a request for a connection that cannot be had.
func refuse(w http.ResponseWriter, status int) {
	switch status {
	case http.StatusServiceUnavailable:
		unavailable(w)
	case http.StatusNotFound:
		http.Error(w, "No Connection with that ID", status)
	case http.StatusBadRequest:
		http.Error(w, "Cannot change transports mid-connection", status)
	default:
		http.Error(w, http.StatusText(status), status)
	}
}
