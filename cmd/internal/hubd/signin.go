package hubd

import (
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/tacet-hub/tacet/bridge/api"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// maxSignIn bounds the body of a sign-in, in bytes.
const maxSignIn = 8 << 10

// signedIn is who is signed in, as the dashboard is told.
type signedIn struct {
	Name      *string    `json:"name"` // null: open mode
	Kind      auth.Kind  `json:"kind"`
	Tenant    string     `json:"tenant"`
	Roles     []string   `json:"roles"`
	Areas     []string   `json:"areas"`
	ExpiresAt *area.Time `json:"expires_at"` // null: never
	Token     string     `json:"token,omitempty"`
}

func tellOf(p auth.Principal) signedIn {
	out := signedIn{Kind: p.Kind, Tenant: p.Tenant, Roles: append([]string{}, p.Roles...), Areas: append([]string{}, p.Areas...)}
	if p.Kind != auth.KindAnonymous {
		out.Name = &p.Name
	}
	if !p.Expires.IsZero() {
		at := area.At(p.Expires)
		out.ExpiresAt = &at
	}
	return out
}

// signInRoutes are the pages of people's sign-in: POST /auth/login with name and
// password (JSON, or a form) begins a session, GET /auth/login says whose it is,
// POST /auth/logout ends it. The session is a browser's, by a cookie; to a
// program, or a device that speaks SignalR, which asks for it ("token":true) it is
// answered as a bearer token.
func (h *Hub) signInRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST /auth/login", h.signIn)
	mux.HandleFunc("GET /auth/login", h.whoIsIn)
	mux.HandleFunc("POST /auth/logout", h.signOut)
}

func (h *Hub) whoIsIn(w http.ResponseWriter, r *http.Request) {
	p, err := h.who.who(r)
	if err != nil {
		api.Fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, tellOf(p))
}

func (h *Hub) signIn(w http.ResponseWriter, r *http.Request) {
	in, err := credentials(w, r)
	if err != nil {
		api.Fail(w, r, err)
		return
	}
	if h.auth.Open() {
		writeJSON(w, http.StatusOK, tellOf(auth.Anonymous()))
		return
	}
	p, err := h.auth.Password(r.Context(), r.RemoteAddr, in.Name, in.Password)
	if err == nil && p.Kind == auth.KindDevice && !in.Token {
		err = area.Errorf(area.CodeForbidden, "the dashboard is for people; a device asks for a token")
	}
	if err != nil {
		h.audit.signInRefused(r.RemoteAddr, in.Name, err)
		api.Fail(w, r, err)
		return
	}
	if _, old, ok := h.who.session(r); ok {
		h.who.sessions.close(old) // one browser, one session
	}
	key, expires := h.who.sessions.open(p)
	h.audit.signedIn(r.RemoteAddr, p.Name)
	p.Expires = expires
	out := tellOf(p)
	if in.Token {
		out.Token = key
	} else {
		http.SetCookie(w, cookie(r, key, expires))
	}
	writeJSON(w, http.StatusOK, out)
}

// signOut ends the session, and the hub connections that were opened with it.
func (h *Hub) signOut(w http.ResponseWriter, r *http.Request) {
	p, id, ok := h.who.held(bearerOf(r.Header.Get("Authorization")))
	if !ok {
		if p, id, ok = h.who.session(r); ok && ownPage(r) != nil {
			api.Fail(w, r, ownPage(r))
			return
		}
	}
	if ok {
		h.who.sessions.close(id)
		h.audit.signedOut(r.RemoteAddr, p.Name)
		h.closeSession(id)
	}
	http.SetCookie(w, cookie(r, "", time.Unix(0, 0)))
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
}

// cookie is the session's: no script reads it, no page of another site sends it,
// and over https it never goes out in the clear.
func cookie(r *http.Request, key string, expires time.Time) *http.Cookie {
	c := &http.Cookie{Name: cookieName, Value: key, Path: "/", Expires: expires, HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil}
	if key == "" {
		c.MaxAge = -1
	}
	return c
}

// signInBody is what somebody signs in with.
type signInBody struct {
	Name     string `json:"name"`
	Password string `json:"password"`
	Token    bool   `json:"token"` // answer a bearer token, and set no cookie
}

// credentials reads the body of a sign-in.
func credentials(w http.ResponseWriter, r *http.Request) (in signInBody, err error) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSignIn))
	if err != nil {
		return in, area.Errorf(area.CodeTooLarge, "a sign-in has at most %d bytes", maxSignIn)
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "application/json":
		err = area.DecodeRequest(b, &in)
		return in, err
	case "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(b))
		if err != nil {
			return in, area.Errorf(area.CodeBadRequest, "the form cannot be read")
		}
		return signInBody{Name: form.Get("name"), Password: form.Get("password")}, nil
	}
	return in, area.Errorf(area.CodeMediaType, "the body must be application/json or a form")
}

// mqttFor is where a device that reached the web listener finds the broker: at
// the same host, but for a broker that listens on one address alone.
func (h *Hub) mqttFor(r *http.Request) (mqtt string, mqtts *string) {
	if h.broker == nil {
		return h.brokerURLs()
	}
	at := func(scheme string, addr net.Addr) string {
		host, port, err := net.SplitHostPort(addr.String())
		if ip := net.ParseIP(host); err != nil || ip == nil || ip.IsUnspecified() {
			return scheme + "://" + api.HostOf(r) + ":" + port
		}
		return scheme + "://" + net.JoinHostPort(host, port)
	}
	if tls := h.broker.TLSAddr(); tls != nil && h.cfg.MQTT.TLS.ClientCAFile == "" { // a password alone passes no listener that asks for certificates
		s := at("mqtts", tls)
		mqtts = &s
	}
	return at("mqtt", h.broker.Addr()), mqtts
}
