package signalr

import (
	"context"
	"maps"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
)

// carrier is the transport below a connection.
type carrier interface {
	Receive(take func(p []byte) error) error
	Write(frames []byte) (int, error)
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
	Close() error
}

// Conn is one client's connection. Its methods are safe for concurrent use and
// do not block.
type Conn struct {
	s      *Server
	link   carrier
	id     string
	ticket *ticket
	who    Principal
	query  url.Values
	remote string
	since  time.Time

	ctx    context.Context
	cancel context.CancelCauseFunc
	tasks  sync.WaitGroup // drain and worker; started by whoever queues, awaited by the reader

	// The reader's own.
	split    *protocol.Splitter
	oddTypes bool // a message of an unknown type was logged

	greeted   atomic.Bool
	listening atomic.Bool  // the reader is not held up by its own calls
	heard     atomic.Int64 // when bytes came last, on the server's clock
	wrote     atomic.Int64 // when bytes went out last

	out outbox
	in  inbox

	mu     sync.Mutex
	values map[any]any
	ended  bool
	cause  error

	rooms map[string]*membership // guarded by the server's rooms
	left  bool                   // guarded by the server's rooms: no joining any more
}

func newConn(s *Server, t *ticket, who Principal, query url.Values, remote string) *Conn {
	query.Del("id")           // the connection's secret
	query.Del("access_token") // the user's
	c := &Conn{
		s: s, id: t.id, ticket: t, who: who, query: query, remote: remote, since: time.Now(),
		split: protocol.NewSplitter(s.cfg.MaximumReceiveMessageSize),
	}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.out.limit, c.out.empty = s.cfg.OutboxBytes, make(chan struct{})
	c.in.init(s.cfg)
	c.listening.Store(true)
	return c
}

// ID returns the connection's public id.
func (c *Conn) ID() string { return c.id }

// User returns the name of the principal; empty is anonymous.
func (c *Conn) User() string { return c.who.Name }

// Principal returns on whose behalf the client is connected.
func (c *Conn) Principal() Principal { return c.who }

// Query returns the query of the opening request without its secrets. It must
// not be changed.
func (c *Conn) Query() url.Values { return c.query }

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
	f, err := eventFrame(event, args)
	if err != nil {
		return err
	}
	return c.enqueue(f)
}

// Join makes the connection a member of group g and returns the position
// behind which it sees every event of the group. Joining again changes
// nothing. It fails with [ErrClosed] and [ErrGroups].
func (c *Conn) Join(g string) (Position, error) {
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
	at, err := c.s.rooms.join(g, c)
	c.s.rooms.choose(g, c, hears)
	return at, err
}

// Leave ends the membership; an event that is just being sent may still come.
func (c *Conn) Leave(g string) { c.s.rooms.leave(g, c) }

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
