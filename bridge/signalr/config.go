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
	// ClientTimeoutInterval: a client that has pinged once, and from which nothing
	// came for so long, is disconnected. Default 30 s; should be at least twice the
	// client's ping interval (15 s). A client that never pings is disconnected when
	// its network says that it is gone, or when it takes nothing for
	// TransportSendTimeout.
	ClientTimeoutInterval time.Duration
	// HandshakeTimeout: how long a client may take to shake hands. Default 15 s.
	HandshakeTimeout time.Duration
	// MaximumReceiveMessageSize: longest hub message a client may send, in bytes.
	// Default 32,768.
	MaximumReceiveMessageSize int
	// EnableDetailedErrors: callers see the text of every error and panic, and
	// what was wrong with their arguments. For development. Default off.
	EnableDetailedErrors bool
	// DisconnectTimeout: how long a connection may be without a transport: one
	// that was negotiated and not opened, one whose client does not poll, one that
	// can be resumed. Default 15 s.
	DisconnectTimeout time.Duration
	// TransportSendTimeout: how long a peer may take nothing while something is
	// written to it. Default 10 s.
	TransportSendTimeout time.Duration
	// CloseTimeout: how long the server waits for the answer to its close frame.
	// Default 5 s.
	CloseTimeout time.Duration
	// PollTimeout: how long a poll waits for something to answer. Default 90 s.
	PollTimeout time.Duration

	// Transports that are offered. Default all.
	Transports Transports
	// AllowStatefulReconnects: a client that asks for it keeps its connection when
	// its WebSocket breaks, and misses nothing, if it is back within
	// DisconnectTimeout. Default off.
	AllowStatefulReconnects bool
	// StatefulReconnectBufferSize: how many bytes that such a client has not
	// acknowledged are kept for it, beside the OutboxBytes that may wait; a
	// connection that has more is cut. Default 100,000.
	StatefulReconnectBufferSize int
	// MaximumPostSize: longest body of a POST, by which clients without WebSockets
	// send, in bytes. Default 32 times MaximumReceiveMessageSize.
	MaximumPostSize int

	// OutboxBytes: how much memory may be held by what waits to be written to one
	// connection, in bytes; beside its bytes each message counts for 64. A longer
	// message is taken only when nothing else waits. Default 1 MiB.
	OutboxBytes int
	// MaximumQueuedCalls: how many calls of one connection may wait to be run
	// before the connection is no longer read. Default 256.
	MaximumQueuedCalls int
	// MaximumDetachedCalls: how many detached calls of one connection may be
	// unanswered. Default 100.
	MaximumDetachedCalls int
	// MaximumParallelInvocationsPerClient: how many calls of one connection run at
	// a time; the next wait. Calls with streams are not among them. Default 1: the
	// calls of a connection run in the order in which they came.
	MaximumParallelInvocationsPerClient int
	// StreamBufferCapacity: how many items of an upload may wait for the method
	// before the connection is no longer read. Default 10.
	StreamBufferCapacity int
	// MaximumStreams: how many calls with server streams or uploads of one
	// connection may be unanswered; more are answered by an error. Default 1,000.
	MaximumStreams int
	// MaximumPendingResults: how many answers of one client may be awaited; see
	// [Conn.Invoke]. Default 1,000.
	MaximumPendingResults int
	// MaximumNegotiated: how many negotiated connections may be unopened.
	// Default 10,000.
	MaximumNegotiated int
	// MaximumConnections: how many connections may be open; the next are answered
	// 503. Default 0: as many as there are descriptors.
	MaximumConnections int
	// MaximumConnectionsPerUser: how many connections a user may have, unopened
	// ones included; the next are answered 429. It does not count for those without
	// a user. Default 0: no limit.
	MaximumConnectionsPerUser int
	// Elsewhere is how many connections a user has at other nodes of the cluster: they
	// count for MaximumConnectionsPerUser, when a client negotiates and when it opens.
	// What two nodes take in at the same instant they do not see of each other: for
	// each other node a user may have as many more as it takes in before the word of
	// the others is there, and never more than the limit at any one node. It is called
	// with locks held, must be quick and not call back. Default: none.
	Elsewhere func(user string) int
	// Cluster joins the server with those of other nodes; nil: there are none.
	Cluster Cluster
	// Forward has the node serve a request for a connection of its own, whose token
	// ends with its name, and blocks until that is done; false: there is no such
	// node, and nothing was answered. Default: such requests are answered 404.
	Forward func(w http.ResponseWriter, r *http.Request, node string) bool

	// MaximumGroups: how many groups one connection may be a member of; joining
	// more fails with [ErrGroups]. Default 1,000.
	MaximumGroups int
	// IdleGroups: how many groups without members keep their position.
	// Default 10,000.
	IdleGroups int

	// History keeps events of groups for [Conn.JoinSince]. Default: none is kept.
	History History

	// Log numbers the events of groups for all nodes of the cluster. Default: each
	// node counts by itself, and knows the positions of no other. Without Cluster it is
	// not used.
	Log Log
	// Repositioned says how the members of a group that the log numbers are told that
	// its counting begins anew, or that some events may be missing (gap): by which event,
	// and with what; empty: they are not. They get it in its place between the events,
	// and it does not count. Such a client then goes on from that position, and misses
	// nothing silently wherever it comes back. It is called with locks held, must be quick
	// and not call back; args are plain values. Default: nobody is told.
	Repositioned func(group string, at Position, gap bool) (event string, args []any)

	// AllowedOrigins: origins ("https://example.org") whose pages may connect
	// beside the server's own host; "*" is any. Ignored if CheckOrigin is set.
	AllowedOrigins []string
	// CheckOrigin says whether a request with an Origin header may connect.
	// Default: AllowedOrigins, and the request's own host. Requests without
	// Origin, as from programs, are always allowed.
	CheckOrigin func(*http.Request) bool
	// Redirect sends a client that negotiates elsewhere; an empty URL does not.
	// Default: nobody is sent away.
	Redirect func(*http.Request, Principal) Redirection
	// Authenticate says whose request it is; it is asked with every request. An error answers 401, one that wraps [ErrForbidden] 403. The token
	// is in the Authorization header or, from browsers, in the query's
	// access_token. Default: everybody is the anonymous zero [Principal].
	Authenticate func(*http.Request) (Principal, error)
	// Require is what a client must meet to connect: otherwise it is answered 401
	// when it is anonymous, else 403.
	Require []Requirement
	// Policies are requirements with names, for [RequirePolicy].
	Policies map[string]Requirement
	// UserClaim is the claim that holds the user's id; see [Conn.User]. Default:
	// the Name of the [Principal].
	UserClaim string
}

// Redirection is where a client is to negotiate.
type Redirection struct {
	// URL of the other hub, without /negotiate.
	URL string
	// AccessToken is what the client shows there; empty: the one it has.
	AccessToken string
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
		{"TransportSendTimeout", c.TransportSendTimeout}, {"CloseTimeout", c.CloseTimeout}, {"PollTimeout", c.PollTimeout},
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
		{"MaximumParallelInvocationsPerClient", c.MaximumParallelInvocationsPerClient},
		{"StreamBufferCapacity", c.StreamBufferCapacity}, {"MaximumStreams", c.MaximumStreams},
		{"MaximumPendingResults", c.MaximumPendingResults},
		{"MaximumNegotiated", c.MaximumNegotiated}, {"MaximumConnections", c.MaximumConnections},
		{"MaximumGroups", c.MaximumGroups}, {"IdleGroups", c.IdleGroups},
		{"StatefulReconnectBufferSize", c.StatefulReconnectBufferSize}, {"MaximumPostSize", c.MaximumPostSize},
		{"MaximumConnectionsPerUser", c.MaximumConnectionsPerUser},
	} {
		if n.value < 0 {
			errs = append(errs, fmt.Errorf("%s: %d is negative", n.name, n.value))
		}
	}
	if c.Transports&^AllTransports != 0 {
		errs = append(errs, fmt.Errorf("Transports: %d is none", c.Transports))
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
		{&c.TransportSendTimeout, 10 * time.Second}, {&c.CloseTimeout, 5 * time.Second}, {&c.PollTimeout, 90 * time.Second},
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
		{&c.MaximumParallelInvocationsPerClient, 1}, {&c.StreamBufferCapacity, 10},
		{&c.MaximumStreams, 1_000}, {&c.MaximumPendingResults, 1_000},
		{&c.StatefulReconnectBufferSize, 100_000},
		{&c.MaximumDetachedCalls, 100}, {&c.MaximumNegotiated, 10_000}, {&c.MaximumGroups, 1_000}, {&c.IdleGroups, 10_000},
	} {
		if *n.field == 0 {
			*n.field = n.value
		}
	}
	if c.MaximumPostSize == 0 {
		c.MaximumPostSize = 32 * c.MaximumReceiveMessageSize
	}
	if c.Transports == 0 {
		c.Transports = AllTransports
	}
	if c.Redirect == nil {
		c.Redirect = func(*http.Request, Principal) Redirection { return Redirection{} }
	}
	if c.CheckOrigin == nil {
		c.CheckOrigin = origins(c.AllowedOrigins).allow
	}
	if c.Elsewhere == nil {
		c.Elsewhere = func(string) int { return 0 }
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
