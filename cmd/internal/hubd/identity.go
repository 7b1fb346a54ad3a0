package hubd

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/bridge/seen"
	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// cookieName is the cookie of a session at the dashboard.
const cookieName = "tacet_session"

// identity says who asks over HTTP: by a bearer token, at the hub also in the
// query's access_token (browsers cannot set headers of a WebSocket), or by the
// cookie of a session at the dashboard, or, to read alone, by the certificate of a
// device.
type identity struct {
	auth     *auth.Authority
	sessions *sessions
	audit    *audit
	seen     *seen.Book // nil: nobody remembers
}

// who is whose request it is. In open mode everybody is [auth.Anonymous]. The
// error is an [area.Error] of code unauthorized, rate, or, for a request with a
// cookie that no page of ours sends, forbidden.
func (i *identity) who(r *http.Request) (auth.Principal, error) {
	p, _, err := i.of(r, bearerOf(r.Header.Get("Authorization")))
	i.saw(p, err)
	return p, err
}

// of is who asks, and with which session; the zero id stands for none.
func (i *identity) of(r *http.Request, bearer string) (auth.Principal, sessionID, error) {
	switch {
	case i.auth.Open():
		return auth.Anonymous(), sessionID{}, nil
	case strings.HasPrefix(bearer, sessionPrefix):
		if p, id, ok := i.held(bearer); ok {
			return p, id, nil
		}
		err := area.Errorf(area.CodeUnauthorized, "the session has ended")
		i.audit.tokenRefused(r.RemoteAddr, err)
		return auth.Principal{}, sessionID{}, err
	case bearer != "":
		p, err := i.auth.Bearer(r.Context(), r.RemoteAddr, bearer)
		if err != nil {
			i.audit.tokenRefused(r.RemoteAddr, err)
		}
		return p, sessionID{}, err
	}
	if p, id, ok := i.session(r); ok {
		return p, id, ownPage(r)
	}
	if safe(r) && r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		p, err := i.auth.Certificate(r.TLS.VerifiedChains[0][0])
		return p, sessionID{}, err
	}
	return auth.Principal{}, sessionID{}, area.Errorf(area.CodeUnauthorized, "sign in, or send a token")
}

// session is the session that a request's cookie belongs to, where it still
// stands.
func (i *identity) session(r *http.Request) (auth.Principal, sessionID, bool) {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return auth.Principal{}, sessionID{}, false
	}
	return i.held(c.Value)
}

// held is the session of a key, where it still stands.
func (i *identity) held(key string) (auth.Principal, sessionID, bool) {
	p, id, ok := i.sessions.of(key)
	if ok && i.auth.Stands(p) != nil {
		i.sessions.close(id)
		ok = false
	}
	return p, id, ok
}

// bearerOf is the token of an Authorization header; empty: it has none.
func bearerOf(header string) string {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// ownPage refuses what a page of somebody else could have made a browser send
// with our cookie: a request that changes something, or opens a WebSocket, must
// say that it comes from a page of this hub.
func ownPage(r *http.Request) error {
	site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
	safe := safe(r)
	switch {
	case origin != "" && !sameHost(origin, r.Host):
	case site != "" && site != "same-origin" && !(safe && site == "none"):
	case site == "" && origin == "" && !safe:
	default:
		return nil
	}
	return area.Errorf(area.CodeForbidden, "a session is for pages of this hub alone; programs send a token")
}

// safe tells whether a request changes nothing and opens nothing, whoever's page
// made a browser send it.
func safe(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.Header.Get("Upgrade") == ""
}

// authenticate is who for the hub's library. The principal travels in the
// claims, and the connection ends with its proof.
func (i *identity) authenticate(r *http.Request) (signalr.Principal, error) {
	raw := bearerOf(r.Header.Get("Authorization"))
	if raw == "" {
		raw = r.URL.Query().Get("access_token")
	}
	p, session, err := i.of(r, raw)
	i.saw(p, err)
	switch {
	case area.CodeOf(err) == area.CodeForbidden:
		return signalr.Principal{}, signalr.ErrForbidden
	case err != nil:
		return signalr.Principal{}, err
	case p.Kind == auth.KindAnonymous:
		return signalr.Principal{}, nil
	}
	return signalr.Principal{Name: userOf(p), Roles: p.Roles, Expires: p.Expires, Claims: map[string]any{principalClaim: p, sessionClaim: session}}, nil
}

// The claims that hold the whole [auth.Principal], and the session with which a
// client is connected.
const (
	principalClaim = "tacet"
	sessionClaim   = "tacet-session"
)

// userOf is the name by which the hub knows a principal; one of another tenant
// is never taken for one of this.
func userOf(p auth.Principal) string {
	if p.Tenant != auth.DefaultTenant {
		return p.Tenant + "/" + p.Name
	}
	return p.Name
}

// whoConnected is on whose behalf a client of the hub is connected. One of whom
// nothing is known may do nothing.
func (i *identity) whoConnected(c *signalr.Conn) auth.Principal {
	if p, ok := c.Principal().Claims[principalClaim].(auth.Principal); ok {
		return p
	}
	if i.auth.Open() {
		return auth.Anonymous()
	}
	return auth.Principal{}
}

// requireUser lets only those connect who are known, unless the hub is open.
func (i *identity) requireUser(a signalr.Access) error {
	if i.auth.Open() {
		return nil
	}
	return signalr.RequireUser()(a)
}

// rightsLook is how often all connections are looked at, for one that was being
// opened just when its rights were withdrawn.
const rightsLook = 2 * time.Second

// watchRights closes what goes on with rights that were withdrawn, until ctx
// ends. Revocations come over a queue of one: one that finds it full is covered
// by the one that waits, since all connections are looked at.
func (h *Hub) watchRights(ctx context.Context) error {
	changed := make(chan struct{}, 1)
	defer h.auth.Watch(func(auth.Revoked) {
		select {
		case changed <- struct{}{}:
		default:
		}
	})()
	again := time.NewTicker(rightsLook)
	defer again.Stop()
	for {
		select {
		case <-changed:
			h.closeRevoked()
		case <-again.C:
			h.closeRevoked()
		case <-ctx.Done():
			return nil
		}
	}
}

// closeRevoked ends the hub connections whose rights stand no more.
func (h *Hub) closeRevoked() {
	now := time.Now()
	for _, c := range h.signalr.Conns() {
		p := h.who.whoConnected(c)
		if !p.Expires.IsZero() && !now.Before(p.Expires) {
			continue // the library ends it, and tells the client that it may come back
		}
		if h.auth.Stands(p) != nil {
			h.log.Info("connection closed, its rights were withdrawn", "conn", c.ID(), "who", p.Name)
			c.Close(signalr.Error("the rights of this connection were withdrawn"))
		}
	}
}

// closeSession ends the hub connections that were opened with a session.
func (h *Hub) closeSession(id sessionID) {
	for _, c := range h.signalr.Conns() {
		if c.Principal().Claims[sessionClaim] == id {
			c.Close(signalr.Error("signed out"))
		}
	}
}
