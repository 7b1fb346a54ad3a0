package signalr

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/tacet-hub/tacet/bridge/signalr/transport"
)

// open serves the hub's path itself: what its transports ask for.
func (s *Server) open(w http.ResponseWriter, r *http.Request, who Principal) {
	token := r.URL.Query().Get("id")
	switch r.Method {
	case http.MethodGet:
		s.connect(w, r, who, token)
	case http.MethodPost, http.MethodDelete:
		t := s.known(w, token, who)
		switch {
		case t == nil:
		case r.Method == http.MethodPost:
			s.send(w, r, t)
		default:
			s.delete(w, t)
		}
	default:
		notAllowed(w, "GET, POST, DELETE")
	}
}

// known finds the ticket of a request, or answers that there is none.
func (s *Server) known(w http.ResponseWriter, token string, who Principal) *ticket {
	if token == "" {
		http.Error(w, "Connection ID required", http.StatusBadRequest)
		return nil
	}
	t, status := s.desk.find(token, who.user(s.cfg.UserClaim))
	if t == nil {
		refuse(w, status)
	}
	return t
}

// connect serves a GET.
func (s *Server) connect(w http.ResponseWriter, r *http.Request, who Principal, token string) {
	by := wanted(r)
	switch {
	case s.cfg.Transports&by == 0:
		http.Error(w, by.String()+" transport not supported by this end point type", http.StatusNotFound)
	case token == "" && by == WebSockets:
		s.walkIn(w, r, who)
	default:
		t := s.known(w, token, who)
		if t == nil {
			return
		}
		first, status := s.desk.take(t, by)
		if status != http.StatusOK {
			refuse(w, status)
			return
		}
		s.attach(w, r, who, t, first)
	}
}

// walkIn serves a client that skipped negotiation.
func (s *Server) walkIn(w http.ResponseWriter, r *http.Request, who Principal) {
	if s.full() {
		unavailable(w)
		return
	}
	t, status := s.desk.walkIn(who.user(s.cfg.UserClaim))
	if t == nil {
		refuse(w, status)
		return
	}
	s.openSocket(w, r, newConn(s, t, who, r))
}

// attach gives a negotiated connection the transport that the request brings:
// its first, or one more.
func (s *Server) attach(w http.ResponseWriter, r *http.Request, who Principal, t *ticket, first bool) {
	if first && s.full() {
		s.desk.giveBack(t)
		unavailable(w)
		return
	}
	switch {
	case !first && t.by == WebSockets:
		s.resumeSocket(w, r, who, t)
	case t.by == WebSockets:
		s.openSocket(w, r, newConn(s, t, who, r))
	case t.by == ServerSentEvents:
		s.openStream(w, r, newConn(s, t, who, r))
	case first:
		s.openPolls(w, r, newConn(s, t, who, r))
	default:
		s.poll(w, r, who, t)
	}
}

func (s *Server) openSocket(w http.ResponseWriter, r *http.Request, c *Conn) {
	l := newLine(c)
	link, err := transport.Upgrade(w, r, s.cfg.CheckOrigin, transport.Events{Ping: l.pinged, Close: l.closing})
	if err != nil {
		s.desk.giveBack(c.ticket)
		return
	}
	l.link = link
	s.admit(c, l)
}

// resumeSocket gives a connection that can be resumed another WebSocket,
// whether the one before is known to be dead or not.
func (s *Server) resumeSocket(w http.ResponseWriter, r *http.Request, who Principal, t *ticket) {
	c := s.desk.conn(t)
	if c == nil || !c.resumable() {
		refuse(w, http.StatusConflict)
		return
	}
	l := newLine(c)
	link, err := transport.Upgrade(w, r, s.cfg.CheckOrigin, transport.Events{Ping: l.pinged, Close: l.closing})
	if err != nil {
		return
	}
	l.link = link
	if !c.takeOver(l) {
		_ = link.Close() // it ended just now: the client begins anew
		return
	}
	c.renew(who)
	s.log.Debug("client resumed", "conn", c.id)
}

func (s *Server) openStream(w http.ResponseWriter, r *http.Request, c *Conn) {
	l := newLine(c)
	link := transport.NewEventStream(w)
	l.link = link
	s.admit(c, l)
	link.Serve(r.Context(), func() { c.fail(transport.ErrGone) })
}

func (s *Server) openPolls(w http.ResponseWriter, r *http.Request, c *Conn) {
	link := transport.NewPolls()
	l := newLine(c)
	l.link = link
	s.admit(c, l)
	link.Poll(w, r, s.cfg.PollTimeout)
}

// poll serves every GET of long polling but the first.
func (s *Server) poll(w http.ResponseWriter, r *http.Request, who Principal, t *ticket) {
	c := s.desk.conn(t)
	if c == nil {
		refuse(w, http.StatusConflict)
		return
	}
	c.renew(who)
	c.line.Load().link.(*transport.Polls).Poll(w, r, s.cfg.PollTimeout)
}

// poster is a transport to which clients send by POST.
type poster interface {
	Post(ctx context.Context, body io.Reader, most int64) error
}

// send serves a POST: what a client without WebSocket sends.
func (s *Server) send(w http.ResponseWriter, r *http.Request, t *ticket) {
	c := s.desk.conn(t)
	if c == nil {
		refuse(w, http.StatusNotFound) // negotiated, and there is no transport yet
		return
	}
	link, ok := c.line.Load().link.(poster)
	if !ok {
		w.Header().Set("Allow", "GET")
		http.Error(w, "POST requests are not allowed for WebSocket connections.", http.StatusMethodNotAllowed)
		return
	}
	most := int64(s.cfg.MaximumPostSize)
	if r.ContentLength > most { // nothing of it is taken, so the connection goes on
		http.Error(w, "too much for one request", http.StatusRequestEntityTooLarge)
		return
	}
	err := link.Post(r.Context(), r.Body, most)
	w.Header().Set("Content-Type", "text/plain")
	switch {
	case err == nil:
	case errors.Is(err, transport.ErrTooLong):
		s.count.faults.Add(1)
		c.fail(err)
		http.Error(w, "too much for one request", http.StatusRequestEntityTooLarge)
	case errors.Is(err, transport.ErrBody):
		c.fail(err)
		http.Error(w, "the body broke off", http.StatusBadRequest)
	default:
		refuse(w, http.StatusNotFound)
	}
}

// delete ends a connection over long polling.
func (s *Server) delete(w http.ResponseWriter, t *ticket) {
	c := s.desk.conn(t)
	if c == nil {
		http.Error(w, "Cannot terminate this connection using the DELETE endpoint.", http.StatusBadRequest)
		return
	}
	link, ok := c.line.Load().link.(*transport.Polls)
	if !ok {
		http.Error(w, "Cannot terminate this connection using the DELETE endpoint.", http.StatusBadRequest)
		return
	}
	s.desk.giveBack(t) // whatever comes for it now is answered 404
	c.stop(nil)
	link.Hangup()
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(http.StatusAccepted)
}
