package testhub

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
)

// Site is the whole test site. It is an http.Handler for the root of a server.
type Site struct {
	hubs      map[string]*signalr.Server // by lower-cased path
	echo      echo
	tokens    tokens
	redirects atomic.Int64
}

var _ http.Handler = (*Site)(nil)

// New makes the site. cfg says what limits the hubs have; origins, errors,
// transports and authentication are the site's own.
func New(cfg signalr.Config, log *slog.Logger) (*Site, error) {
	s := &Site{hubs: make(map[string]*signalr.Server), tokens: newTokens()}
	cfg.AllowedOrigins, cfg.EnableDetailedErrors = []string{"*"}, true
	streamsOnly, authorized := cfg, cfg
	streamsOnly.Transports = signalr.ServerSentEvents | signalr.LongPolling
	authorized.Authenticate, authorized.Require = s.tokens.authenticate, []signalr.Requirement{signalr.RequireUser()}
	for path, h := range map[string]struct {
		cfg     signalr.Config
		methods func(*signalr.Server)
	}{
		"/testhub":              {cfg, Methods},
		"/testhub-nowebsockets": {streamsOnly, Methods},
		"/authorizedhub":        {authorized, vendor},
		"/uncreatable":          {cfg, uncreatable},
	} {
		hub, err := signalr.New(h.cfg, log.With("topic", path))
		if err != nil {
			return nil, err
		}
		h.methods(hub)
		s.hubs[path] = hub
	}
	return s, nil
}

// uncreatable makes a hub that refuses everybody.
func uncreatable(s *signalr.Server) {
	s.Use(signalr.Filter{Connect: func(*signalr.Conn, func(*signalr.Conn) error) error {
		return thrown("Unable to resolve service for type 'System.Object' while attempting to activate 'FunctionalTests.UncreatableHub'.")
	}})
}

// Run runs the hubs until ctx ends, and waits for them.
func (s *Site) Run(ctx context.Context) error {
	var running sync.WaitGroup
	for _, hub := range s.hubs {
		running.Go(func() { _ = hub.Run(ctx) }) // never fails
	}
	<-ctx.Done()
	s.echo.close()
	running.Wait()
	return nil
}

// ServeHTTP implements http.Handler. Paths are matched whatever their case.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	cors(w, r)
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if strings.Contains(r.URL.Path, "/negotiate") {
		cookies(w, r)
	}
	path := strings.ToLower(strings.TrimRight(r.URL.Path, "/"))
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if hub := s.hubs["/"+first]; hub != nil {
		hub.ServeHTTP(w, r)
		return
	}
	switch first {
	case "echo":
		s.echo.ServeHTTP(w, r)
	case "echoredirect":
		redirect(w, r, strings.Replace(r.URL.Path, "echoredirect", "echo", 1))
	case "redirect":
		_, _ = fmt.Fprintf(w, `{ "url": "%s/testHub?numRedirects=%d" }`, r.URL.Query().Get("baseUrl"), s.redirects.Add(1))
	case "bad-negotiate":
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprint(w, "Some response from server")
	case "generatejwttoken":
		_, _ = fmt.Fprint(w, s.tokens.issue())
	case "clientresult":
		s.clientResult(w, r)
	default:
		http.NotFound(w, r)
	}
}

// redirect sends the client to another path of the site. The address is a whole
// one: the library for server-sent events that the vendor's client uses in Node
// takes no other.
func redirect(w http.ResponseWriter, r *http.Request, path string) {
	elsewhere := url.URL{Scheme: "http", Host: r.Host, Path: path, RawQuery: r.URL.RawQuery}
	if r.TLS != nil {
		elsewhere.Scheme = "https"
	}
	http.Redirect(w, r, elsewhere.String(), http.StatusTemporaryRedirect)
}

// clientResult asks the client of a connection and answers what it answered.
func (s *Site) clientResult(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	c := s.hubs["/testhub"].Conn(id)
	if c == nil {
		_, _ = fmt.Fprintf(w, "Connection '%s' does not exist.", id)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	n, err := result.Ask(ctx, c)
	if err != nil {
		_, _ = fmt.Fprint(w, err)
		return
	}
	_, _ = fmt.Fprint(w, n)
}

// cors lets pages of every origin read everything: the site is for tests.
func cors(w http.ResponseWriter, r *http.Request) {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Credentials", "true")
	if methods := r.Header.Get("Access-Control-Request-Method"); methods != "" {
		h.Set("Access-Control-Allow-Methods", methods)
	}
	if headers := r.Header.Get("Access-Control-Request-Headers"); headers != "" {
		h.Set("Access-Control-Allow-Headers", headers)
	}
}

// cookies sets two cookies, and one that is over already.
func cookies(w http.ResponseWriter, r *http.Request) {
	set := func(name, value string, expires time.Time) {
		c := &http.Cookie{Name: name, Value: value, Path: "/", Expires: expires}
		if r.TLS != nil {
			c.SameSite, c.Secure = http.SameSiteNoneMode, true
		}
		http.SetCookie(w, c)
	}
	set("testCookie", "testValue", time.Time{})
	set("testCookie2", "testValue2", time.Time{})
	set("expiredCookie", "doesntmatter", time.Now().Add(-time.Hour))
}
