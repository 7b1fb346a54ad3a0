package signalr

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
)

// Conn is one client's connection. Its methods are safe for concurrent use and
// do not block.
type Conn struct {
	s      *Server
	line   atomic.Pointer[line] // the current one; set before the connection serves
	tape   *tape                // nil unless stateful reconnect was agreed on
	id     string
	ticket *ticket
	by     Transports
	query  url.Values  // of the opening request, without secrets
	header http.Header // of the same
	remote string
	since  time.Time
	tally  *tally

	who     atomic.Pointer[Principal]
	expires atomic.Int64 // when what proves it is too old, on the server's clock; 0: never

	ctx    context.Context
	cancel context.CancelCauseFunc
	tasks  sync.WaitGroup // drain and worker; started by whoever queues, awaited by the reader

	// The reader's own.
	split    *protocol.Splitter
	each     func(record []byte) error
	codec    protocol.Codec // the protocol; the reader sets it before greeted, then anybody reads it
	got      reception
	oddTypes bool // a message of an unknown type was logged

	pending atomic.Int32  // calls that the reader is to run; see inline.go
	turn    atomic.Uint64 // odd: it runs some
	reading *line         // where it reads then
	watched watched

	greeted   atomic.Bool
	listening atomic.Bool  // the reader is not held up by its own calls
	pings     atomic.Bool  // the client has pinged: from then on silence ends it
	heard     atomic.Int64 // when bytes came last, on the server's clock
	wrote     atomic.Int64 // when bytes went out last

	in        inbox
	calm      calm
	held      held
	questions questions

	mu     sync.Mutex
	values map[any]any
	ended  bool
	cause  error

	user       string            // guarded by the server's tags, as these
	attributes map[string]string // by which it can be found
	untagged   bool              // none any more

	rooms map[string]*membership // guarded by the server's rooms
	left  bool                   // guarded by the server's rooms: no joining any more
}

// newConn makes the connection that r opens.
func newConn(s *Server, t *ticket, who Principal, r *http.Request) *Conn {
	c := &Conn{
		s: s, id: t.id, ticket: t, by: t.by, query: r.URL.Query(), header: r.Header, remote: r.RemoteAddr, since: time.Now(),
		tally: s.count.tally(),
		split: protocol.NewSplitter(s.cfg.MaximumReceiveMessageSize), codec: protocol.JSON,
	}
	c.query.Del("id")           // the connection's secret
	c.query.Del("access_token") // the user's
	c.header.Del("Authorization")
	c.renew(who)
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	if t.stateful {
		c.tape = &tape{limit: s.cfg.OutboxBytes + s.cfg.StatefulReconnectBufferSize, first: 1, wake: make(chan struct{}, 1)}
	}
	c.in.init(s.cfg, &c.tasks)
	c.calm.c = c
	c.listening.Store(true)
	c.each = c.record
	return c
}

// ID returns the connection's public id.
func (c *Conn) ID() string { return c.id }

// User returns the id of the user: the claim that UserClaim chooses, else the
// name of the principal; empty is anonymous.
func (c *Conn) User() string { return c.Principal().user(c.s.cfg.UserClaim) }

// Principal returns on whose behalf the client is connected, as it last proved.
func (c *Conn) Principal() Principal { return *c.who.Load() }

// Transport returns how the client is connected.
func (c *Conn) Transport() Transports { return c.by }

// Query returns the query of the opening request without its secrets. It must
// not be changed.
func (c *Conn) Query() url.Values { return c.query }

// Header returns the value of a header of the opening request (for long polling,
// of the first poll), several joined by commas; empty when there is none. The
// Authorization header is not kept.
func (c *Conn) Header(name string) string { return strings.Join(c.header.Values(name), ",") }

// Cookie returns the value of a cookie of the opening request; empty when there
// is none.
func (c *Conn) Cookie(name string) string {
	cookie, err := (&http.Request{Header: c.header}).Cookie(name)
	if err != nil {
		return ""
	}
	return cookie.Value
}

// RemoteAddr returns the peer's address as the HTTP server saw it.
func (c *Conn) RemoteAddr() string { return c.remote }

// Since returns when the connection was opened.
func (c *Conn) Since() time.Time { return c.since }

// Context returns a context that ends with the connection; its cause says why.
func (c *Conn) Context() context.Context { return c.ctx }

// Set keeps a value with the connection.
func (c *Conn) Set(key, value any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.values == nil {
		c.values = make(map[any]any)
	}
	c.values[key] = value
	c.s.changed(c.id)
}

// Get returns a value that was kept; nil when there is none.
func (c *Conn) Get(key any) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.values[key]
}

// Values returns a copy of everything that was kept.
func (c *Conn) Values() map[any]any {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.values)
}

// Send queues an event for this client. It fails when an argument has no JSON,
// and with [ErrClosed] or [ErrSlow] when the connection is ending.
func (c *Conn) Send(event string, args ...any) error {
	f, err := c.eventFrame(event, args)
	if err != nil {
		return err
	}
	return c.enqueue(f)
}

// Join makes the connection a member of group g and returns the position
// behind which it sees every event of the group. Joining again changes
// nothing. It fails with [ErrClosed], [ErrGroups], and [ErrForbidden] when the
// client does not meet what [Server.RequireForGroups] asks.
func (c *Conn) Join(g string) (Position, error) {
	if err := c.permitGroup(g); err != nil {
		return Position{}, err
	}
	at, err := c.s.rooms.join(g, c)
	c.s.rooms.choose(g, c, nil)
	return at, err
}

// JoinFor is Join for a member that gets only the events for which hears
// answers true: a program that has no handlers for the others, and whose library
// would complain of each. It is listed, and the group's position counts, as
// for every member. A later Join makes it hear everything. hears must be quick
// and must not call back.
func (c *Conn) JoinFor(g string, hears func(event string) bool) (Position, error) {
	if err := c.permitGroup(g); err != nil {
		return Position{}, err
	}
	at, err := c.s.rooms.join(g, c)
	c.s.rooms.choose(g, c, hears)
	return at, err
}

// Leave ends the membership; an event that is just being sent may still come. It
// returns the position behind which nothing comes any more, and whether the
// connection was a member.
func (c *Conn) Leave(g string) (Position, bool) { return c.s.rooms.leave(g, c) }

// Groups returns the names of the groups that the connection is a member of,
// sorted; after its end, those it was a member of.
func (c *Conn) Groups() []string { return c.s.rooms.of(c) }

// Close ends the connection: what is queued is still sent, then the client is
// told not to reconnect, with the text of err if that was made by [Error].
func (c *Conn) Close(err error) {
	if err == nil {
		c.dismiss(ErrClosed, "", false)
		return
	}
	c.dismiss(err, describe("Connection closed with an error.", err, c.s.cfg.EnableDetailedErrors), false)
}
