package signalr

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Config says how a [Server] behaves. The zero value is usable: every field's
// zero means its default. Names and defaults are ASP.NET's where it has them.
type Config struct {
	// KeepAliveInterval: a client to which nothing was written for so long is
	// pinged. Default 15 s.
	KeepAliveInterval time.Duration
	// ClientTimeoutInterval: a client from which nothing came for so long is
	// disconnected. Default 30 s; should be at least twice the client's ping
	// interval (15 s).
	ClientTimeoutInterval time.Duration
	// HandshakeTimeout: how long a client may take to shake hands. Default 15 s.
	HandshakeTimeout time.Duration
	// MaximumReceiveMessageSize: longest hub message a client may send, in bytes.
	// Default 32,768.
	MaximumReceiveMessageSize int
	// EnableDetailedErrors: callers see the text of every error and panic, and
	// what was wrong with their arguments. For development. Default off.
	EnableDetailedErrors bool
	// DisconnectTimeout: how long a negotiated connection may stay unopened.
	// Default 15 s.
	DisconnectTimeout time.Duration
	// TransportSendTimeout: how long a peer may take nothing while something is
	// written to it. Default 10 s.
	TransportSendTimeout time.Duration
	// CloseTimeout: how long the server waits for the answer to its close frame.
	// Default 5 s.
	CloseTimeout time.Duration

	// OutboxBytes: how much may wait to be written to one connection. A longer
	// message is taken only when nothing else waits. Default 1 MiB.
	OutboxBytes int
	// MaximumQueuedCalls: how many calls of one connection may wait to be run
	// before the connection is no longer read. Default 256.
	MaximumQueuedCalls int
	// MaximumDetachedCalls: how many detached calls of one connection may be
	// unanswered. Default 100.
	MaximumDetachedCalls int
	// MaximumNegotiated: how many negotiated connections may be unopened.
	// Default 10,000.
	MaximumNegotiated int
	// MaximumConnections: how many connections may be open; the next are answered
	// 503. Default 0: as many as there are descriptors.
	MaximumConnections int
	// MaximumGroups: how many groups one connection may be a member of; joining
	// more fails with [ErrGroups]. Default 1,000.
	MaximumGroups int
	// IdleGroups: how many groups without members keep their position.
	// Default 10,000.
	IdleGroups int

	// AllowedOrigins: origins ("https://example.org") whose pages may connect
	// beside the server's own host; "*" is any. Ignored if CheckOrigin is set.
	AllowedOrigins []string
	// CheckOrigin says whether a request with an Origin header may connect.
	// Default: AllowedOrigins, and the request's own host. Requests without
	// Origin, as from programs, are always allowed.
	CheckOrigin func(*http.Request) bool
	// Authenticate says whose request it is; it is asked on negotiate and on the
	// upgrade. An error answers 401, one that wraps [ErrForbidden] 403. The token
	// is in the Authorization header or, from browsers, in the query's
	// access_token. Default: everybody is the anonymous zero [Principal].
	Authenticate func(*http.Request) (Principal, error)
}

// Principal is on whose behalf a client is connected.
type Principal struct {
	// Name of the user or device; empty is anonymous.
	Name string
	// Claims as the authentication gave them; must not be changed.
	Claims map[string]any
}

// ErrForbidden is for Authenticate: known, but not allowed to connect.
var ErrForbidden = errors.New("forbidden")

// Validate reports every fault of the configuration at once.
func (c Config) Validate() error {
	var errs []error
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"KeepAliveInterval", c.KeepAliveInterval}, {"ClientTimeoutInterval", c.ClientTimeoutInterval},
		{"HandshakeTimeout", c.HandshakeTimeout}, {"DisconnectTimeout", c.DisconnectTimeout},
		{"TransportSendTimeout", c.TransportSendTimeout}, {"CloseTimeout", c.CloseTimeout},
	} {
		if d.value < 0 || d.value > 0 && d.value < time.Millisecond {
			errs = append(errs, fmt.Errorf("%s: %v is less than a millisecond", d.name, d.value))
		}
	}
	for _, n := range []struct {
		name  string
		value int
	}{
		{"MaximumReceiveMessageSize", c.MaximumReceiveMessageSize}, {"OutboxBytes", c.OutboxBytes},
		{"MaximumQueuedCalls", c.MaximumQueuedCalls}, {"MaximumDetachedCalls", c.MaximumDetachedCalls},
		{"MaximumNegotiated", c.MaximumNegotiated}, {"MaximumConnections", c.MaximumConnections},
		{"MaximumGroups", c.MaximumGroups}, {"IdleGroups", c.IdleGroups},
	} {
		if n.value < 0 {
			errs = append(errs, fmt.Errorf("%s: %d is negative", n.name, n.value))
		}
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.KeepAliveInterval, 15 * time.Second}, {&c.ClientTimeoutInterval, 30 * time.Second},
		{&c.HandshakeTimeout, 15 * time.Second}, {&c.DisconnectTimeout, 15 * time.Second},
		{&c.TransportSendTimeout, 10 * time.Second}, {&c.CloseTimeout, 5 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	for _, n := range []struct {
		field *int
		value int
	}{
		{&c.MaximumReceiveMessageSize, 32 << 10}, {&c.OutboxBytes, 1 << 20}, {&c.MaximumQueuedCalls, 256},
		{&c.MaximumDetachedCalls, 100}, {&c.MaximumNegotiated, 10_000}, {&c.MaximumGroups, 1_000}, {&c.IdleGroups, 10_000},
	} {
		if *n.field == 0 {
			*n.field = n.value
		}
	}
	if c.CheckOrigin == nil {
		c.CheckOrigin = origins(c.AllowedOrigins).allow
	}
	if c.Authenticate == nil {
		c.Authenticate = func(*http.Request) (Principal, error) { return Principal{}, nil }
	}
	return c
}

// sweep is how often the server looks after its connections: each second, as
// the vendor's does, oftener only when an interval is shorter than that.
func (c Config) sweep() time.Duration {
	least := min(c.KeepAliveInterval, c.ClientTimeoutInterval, c.DisconnectTimeout)
	return max(min(time.Second, least/4), time.Millisecond)
}
