package fetch

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// WebConfig says who the device is for the hub's web listener.
type WebConfig struct {
	Name   string      // empty: nobody
	Secret string      // password, or a JWT; used with Name alone
	TLS    *tls.Config // of https, which must verify; nil: the system's roots
	// Plain lets the secret go over lines that are not encrypted, as it does where
	// the device's MQTT connection is not either. Loopback is always allowed.
	Plain bool
	// Through makes a connection by another way than the network's, where there is one:
	// its answer is nil without an error where there is none. nil: there never is.
	Through func(ctx context.Context, addr string) (net.Conn, error)
	// Dial makes a connection; nil: the network's. Tests give a pipe.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Web asks the hub's web listener. It is safe for concurrent use.
type Web struct {
	cfg    WebConfig
	client *http.Client

	turn   chan struct{}     // who has it owns tokens, and may sign in
	tokens map[string]string // by the hub's address; empty: the hub is open
}

const (
	dialTime   = 5 * time.Second
	headTime   = 15 * time.Second // until an answer begins
	signInMost = 64 << 10         // bytes of its answer
	mostHubs   = 16               // whose tokens are remembered
)

// NewWeb makes a Web; it connects when it is asked.
func NewWeb(cfg WebConfig) *Web {
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{Timeout: dialTime, KeepAlive: 15 * time.Second}).DialContext
	}
	if cfg.Through != nil {
		cfg.Dial = through(cfg.Through, cfg.Dial)
	}
	return &Web{cfg: cfg, turn: make(chan struct{}, 1), tokens: map[string]string{}, client: &http.Client{
		Transport: &http.Transport{
			DialContext: cfg.Dial, TLSClientConfig: cfg.TLS, TLSHandshakeTimeout: dialTime, ResponseHeaderTimeout: headTime,
			IdleConnTimeout: 30 * time.Second, MaxIdleConns: 4, DisableCompression: true, MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// through is by another way, and where there is none by dial.
func through(way func(context.Context, string) (net.Conn, error), dial func(context.Context, string, string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if c, err := way(ctx, addr); c != nil || err != nil {
			return c, err
		}
		return dial(ctx, network, addr)
	}
}

// Close ends the connections that nobody uses.
func (w *Web) Close() { w.client.CloseIdleConnections() }

// Get asks for a path of the hub at base, such as http://hub.local:8080, with
// these headers beside the credential. A credential that the hub knows no more is
// fetched anew, once. The body is the caller's to close; no redirection is
// followed. It blocks until the answer begins.
func (w *Web) Get(ctx context.Context, base, path string, head http.Header) (*http.Response, error) {
	at, err := url.Parse(base)
	if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
		return nil, fmt.Errorf("%q is no address of a hub's web listener", base)
	}
	for again := false; ; again = true {
		token, err := w.token(ctx, at, again)
		if err != nil {
			return nil, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.JoinPath(path).String(), nil)
		if err != nil {
			return nil, err
		}
		for k, v := range head {
			req.Header[k] = v
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := w.client.Do(req)
		if err != nil || res.StatusCode != http.StatusUnauthorized || again || !w.known(at) {
			return res, err
		}
		_ = res.Body.Close()
	}
}

// known tells whether the device has a credential that it may show at an
// address.
func (w *Web) known(at *url.URL) bool {
	if w.cfg.Name == "" || w.cfg.Secret == "" {
		return false
	}
	ip := net.ParseIP(at.Hostname())
	return at.Scheme == "https" || w.cfg.Plain || at.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// token is what the device shows at an address; empty: nothing. One signs in at
// a time.
func (w *Web) token(ctx context.Context, at *url.URL, anew bool) (string, error) {
	switch {
	case !w.known(at):
		return "", nil
	case isJWT(w.cfg.Secret):
		return w.cfg.Secret, nil
	}
	select {
	case w.turn <- struct{}{}:
		defer func() { <-w.turn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	key := at.Scheme + "://" + at.Host
	if token, ok := w.tokens[key]; ok && !anew {
		return token, nil
	}
	token, err := w.signIn(ctx, at)
	if err != nil {
		return "", fmt.Errorf("sign in at %s: %w", key, err)
	}
	if len(w.tokens) >= mostHubs {
		clear(w.tokens)
	}
	w.tokens[key] = token
	return token, nil
}

// isJWT tells whether a password has the form of a JWT, which the hub takes as
// it is.
func isJWT(secret string) bool {
	return strings.HasPrefix(secret, "eyJ") && strings.Count(secret, ".") == 2
}

// errSignIn is the error of a credential that the hub does not know.
var errSignIn = errors.New("the hub refuses the device's name and password")

// signIn trades name and password for a token; an open hub gives none.
func (w *Web) signIn(ctx context.Context, at *url.URL) (string, error) {
	body, err := json.Marshal(map[string]any{"name": w.cfg.Name, "password": w.cfg.Secret, "token": true})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.JoinPath("auth/login").String(), bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := w.client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, signInMost))
	if err != nil {
		return "", err
	}
	switch res.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return "", errSignIn
	default:
		return "", fmt.Errorf("the hub answers %s", res.Status)
	}
	var answer struct {
		Token string `json:"token"`
	}
	return answer.Token, json.Unmarshal(raw, &answer)
}
