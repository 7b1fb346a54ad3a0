package signalr

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/tacet-hub/tacet/bridge/signalr/transport"
)

// ServeHTTP serves the hub: POST …/negotiate, and the upgrade to a WebSocket at
// the hub's path itself. Statuses are those of TransportProtocols.md and the
// vendor's server. It returns when the connection is up, not when it ends.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	allowed := s.cors(w, r)
	if r.Method == http.MethodOptions {
		preflight(w, r)
		return
	}
	if !allowed {
		http.Error(w, "origin not allowed", http.StatusForbidden)
		return
	}
	who, ok := s.authenticate(w, r)
	if !ok {
		return
	}
	if strings.HasSuffix(strings.ToLower(strings.TrimRight(r.URL.Path, "/")), "/negotiate") {
		s.negotiate(w, r, who)
		return
	}
	s.open(w, r, who)
}

func (s *Server) authenticate(w http.ResponseWriter, r *http.Request) (Principal, bool) {
	who, err := s.cfg.Authenticate(r)
	switch {
	case err == nil:
		return who, true
	case errors.Is(err, ErrForbidden):
		http.Error(w, "forbidden", http.StatusForbidden)
	default:
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "unauthorized", http.StatusUnauthorized)
	}
	return who, false
}

// offer is the answer to negotiate.
type offer struct {
	Version    int         `json:"negotiateVersion"`
	ID         string      `json:"connectionId,omitempty"`
	Token      string      `json:"connectionToken,omitempty"`
	Transports []available `json:"availableTransports,omitempty"`
	Error      string      `json:"error,omitempty"`
}

type available struct {
	Transport string   `json:"transport"`
	Formats   []string `json:"transferFormats"`
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
	if s.full() {
		unavailable(w)
		return
	}
	t := s.desk.issue(who.Name, version > 0, s.now()+s.cfg.DisconnectTimeout)
	if t == nil {
		unavailable(w)
		return
	}
	o := offer{Version: version, ID: t.id, Transports: []available{{"WebSockets", []string{"Text", "Binary"}}}}
	if version > 0 {
		o.Token = t.token
	}
	answer(w, o)
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

// open serves the hub's path itself.
func (s *Server) open(w http.ResponseWriter, r *http.Request, who Principal) {
	query := r.URL.Query()
	token := query.Get("id")
	switch {
	case r.Method == http.MethodGet && upgrade(r):
		s.connect(w, r, who, query)
	case r.Method != http.MethodGet && r.Method != http.MethodPost && r.Method != http.MethodDelete:
		notAllowed(w, "GET, POST, DELETE")
	case token == "":
		http.Error(w, "connection ID required", http.StatusBadRequest)
	case !s.desk.known(token):
		http.Error(w, "no connection with that ID", http.StatusNotFound)
	case r.Method == http.MethodPost:
		notAllowed(w, "GET")
	case r.Method == http.MethodDelete:
		http.Error(w, "cannot terminate a WebSocket by DELETE", http.StatusBadRequest)
	default:
		http.Error(w, "only WebSockets are enabled", http.StatusNotFound)
	}
}

func (s *Server) connect(w http.ResponseWriter, r *http.Request, who Principal, query url.Values) {
	if s.full() {
		unavailable(w)
		return
	}
	t, status := s.ticket(query.Get("id"), who)
	if t == nil {
		http.Error(w, http.StatusText(status), status)
		return
	}
	c := newConn(s, t, who, query, r.RemoteAddr)
	link, err := transport.Upgrade(w, r, s.cfg.CheckOrigin, transport.Events{Ping: c.pinged, Close: c.closing})
	if err != nil {
		s.desk.giveBack(t)
		return
	}
	c.link = link
	s.admit(c)
}

// ticket finds the ticket of an upgrade; without a token negotiation was
// skipped.
func (s *Server) ticket(token string, who Principal) (*ticket, int) {
	if token == "" {
		return s.desk.walkIn(who.Name), http.StatusOK
	}
	return s.desk.take(token, who.Name)
}

// upgrade says whether r asks for a WebSocket.
func upgrade(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

func notAllowed(w http.ResponseWriter, methods string) {
	w.Header().Set("Allow", methods)
	http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
}

func unavailable(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "2")
	http.Error(w, "the server takes no more connections now", http.StatusServiceUnavailable)
}
