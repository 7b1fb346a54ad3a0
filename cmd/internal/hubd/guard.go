package hubd

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/tacet-hub/tacet/bridge/api"
	"github.com/tacet-hub/tacet/broker/area"
)

// guard keeps foreign pages out. In open mode the hub answers a request only
// where its Host header names this machine (so that no name that an attacker
// points at 127.0.0.1 works), and in every mode a request that a browser sends
// from another page is refused unless its origin is allowed.
type guard struct {
	open    bool     // no user, token or certificate is configured
	origins []string // allowed beside the request's own host
}

// wrap puts the guard before a handler.
func (g guard) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case g.open && !localHost(r.Host):
			api.Fail(w, r, area.Errorf(area.CodeForbidden, "host %q: an open hub answers to localhost alone", r.Host))
		case !g.allows(r):
			api.Fail(w, r, area.Errorf(area.CodeForbidden, "origin %q is not allowed", r.Header.Get("Origin")))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// allows tells whether the page that sends a request may: no Origin header (a
// program, or a link that was followed), the request's own host, or one that
// the configuration lists.
func (g guard) allows(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	if sameHost(origin, r.Host) {
		return true
	}
	for _, o := range g.origins {
		if strings.EqualFold(strings.TrimSuffix(o, "/"), origin) {
			return true
		}
	}
	return false
}

// sameHost tells whether an Origin header names the host of a Host header.
func sameHost(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, host)
}

// localHost tells whether a Host header names this machine.
func localHost(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	if strings.EqualFold(name, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.IsLoopback()
}
