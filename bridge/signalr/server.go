package signalr

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Handler is a hub method. Its ctx ends when the caller cancels the call or is
// gone, and after the call is completed. It returns the result, nil for a method
// without one, or [Null]{}. An error becomes the error of the call; see [Error].
type Handler func(ctx context.Context, c *Call) (any, error)

// Server is one hub. Methods and hooks are set before it serves; everything
// else is safe for concurrent use.
type Server struct {
	cfg     Config
	log     *slog.Logger
	start   time.Time
	methods map[string]*Method // by lower-cased name, and as it was given
	filters []Filter
	up      func(*Conn)
	down    func(*Conn, error)
	changed func(id string)

	groupRules []groupRule

	desk    *desk
	rooms   *rooms
	writers *writers
	crew    *crew
	watch   *watch
	tags    tags
	count   counters
	post    *post   // nil where there is no cluster
	scribe  *scribe // nil where no log numbers the events of groups

	mu       sync.Mutex
	conns    map[string]*Conn // by id, handshake done or not
	draining bool
	readers  sync.WaitGroup
}

var _ http.Handler = (*Server)(nil)

// New builds a server. It serves nothing and starts nothing: mount it, and call
// [Server.Run].
func New(cfg Config, log *slog.Logger) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("signalr: %w", err)
	}
	s := &Server{
		cfg: cfg.withDefaults(), log: log, start: time.Now(), methods: make(map[string]*Method),
		up: func(*Conn) {}, down: func(*Conn, error) {}, changed: func(string) {}, conns: make(map[string]*Conn),
	}
	s.desk = newDesk(s.cfg)
	s.writers, s.crew = newWriters(), newCrew()
	s.watch, s.tags.changed = newWatch(), s.changed
	s.rooms = newRooms(s.cfg, &s.count, s.writers)
	if s.cfg.Log != nil && s.cfg.Cluster != nil {
		s.scribe = newScribe(s.cfg.Log)
		s.rooms.scribe = s.scribe
	}
	if s.cfg.Cluster != nil {
		s.post = newPost()
		s.rooms.want, s.tags.want = s.cfg.Cluster.Want, s.cfg.Cluster.Want
	}
	return s, nil
}

// OnConnect sets what is called when a client has shaken hands, before its
// first call. What it sends comes before any event. It should not wait: the
// connection is not read meanwhile. Before serving only.
func (s *Server) OnConnect(f func(*Conn)) { s.up = f }

// OnDisconnect sets what is called once when a connection for which OnConnect
// was called has ended and its last running call has returned; the error says
// why, nil that the client left in good order. Before serving only.
func (s *Server) OnDisconnect(f func(*Conn, error)) { s.down = f }

// OnChange sets what is told of each connection that has come, or gone, or whose
// groups, attributes or values have changed, by its id; [Server.Conn] has it as it is
// then. It is called with locks held: it must only enqueue. Before serving only.
func (s *Server) OnChange(f func(id string)) {
	s.changed, s.rooms.changed, s.tags.changed = f, f, f
}

// Run keeps connections alive, finds the silent ones, and waits for ctx to
// end. Then it closes every connection, telling clients that they may
// reconnect, waits until the last call and connection have ended, and returns
// nil. A server does not run again.
func (s *Server) Run(ctx context.Context) error {
	defer s.join(ctx)()
	s.crew.start()
	s.watch.start()
	tick, glances := time.NewTicker(s.cfg.sweep()), time.NewTimer(glance)
	defer tick.Stop()
	defer glances.Stop()
	glances.Stop()
	for {
		select {
		case <-tick.C:
			s.sweep()
		case <-s.watch.wake:
			glances.Reset(glance)
		case <-glances.C:
			if next := s.watch.look(); next > 0 {
				glances.Reset(next)
			}
		case <-ctx.Done():
			s.drain()
			return nil
		}
	}
}

// sweep is one round of looking after connections and tickets.
func (s *Server) sweep() {
	now := s.now()
	s.desk.expire(now)
	for _, c := range s.rooms.everybody() {
		c.look(now)
	}
}

func (s *Server) drain() {
	s.watch.stop()
	s.mu.Lock()
	s.draining = true
	conns := make([]*Conn, 0, len(s.conns))
	for _, c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	for _, c := range conns {
		c.dismiss(ErrDraining, "", true)
	}
	s.readers.Wait()
	s.writers.tasks.Wait()
	s.crew.stop()
}

// now is the server's clock: monotonic time since it was made.
func (s *Server) now() time.Duration { return time.Since(s.start) }

// full says whether a new connection must be refused.
func (s *Server) full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining || s.cfg.MaximumConnections > 0 && len(s.conns) >= s.cfg.MaximumConnections
}

// admit gives a connection its first line and starts its reader, which runs on
// after the request. While the server drains it is false, and the line closed.
func (s *Server) admit(c *Conn, l *line) bool {
	c.begins(l)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		_ = l.link.Close()
		s.desk.giveBack(c.ticket)
		return false
	}
	s.conns[c.id] = c
	s.desk.bind(c.ticket, c)
	_ = l.link.SetReadDeadline(time.Now().Add(s.cfg.HandshakeTimeout)) // before anybody can shorten it
	s.count.opened.Add(1)
	s.readers.Go(c.serve)
	return true
}

// forget removes an ended connection.
func (s *Server) forget(c *Conn) {
	s.desk.giveBack(c.ticket)
	s.mu.Lock()
	delete(s.conns, c.id)
	s.mu.Unlock()
	if c.greeted.Load() {
		s.changed(c.id)
	}
}

func (s *Server) find(id string) *Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.conns[id]; c != nil && c.greeted.Load() {
		return c
	}
	return nil
}
