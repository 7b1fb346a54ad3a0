package signalr

import "context"

// Filter stands around what clients cause: it may look, change, refuse, or
// measure. Every field may be nil. What a filter does not pass on by next does
// not happen.
type Filter struct {
	// Invoke is around each call that may run. next gives what the method
	// returns; of a stream it returns when the stream has ended.
	Invoke func(ctx context.Context, c *Call, next Handler) (any, error)
	// Connect is around the hook of [Server.OnConnect]. An error ends the
	// connection, with its text if that was made by [Error].
	Connect func(c *Conn, next func(*Conn) error) error
	// Disconnect is around the hook of [Server.OnDisconnect].
	Disconnect func(c *Conn, cause error, next func(*Conn, error))
}

// Use adds a filter inside of those that were added before. Before serving
// only.
func (s *Server) Use(f Filter) { s.filters = append(s.filters, f) }

func (f Filter) around(next Handler) Handler {
	if f.Invoke == nil {
		return next
	}
	return func(ctx context.Context, c *Call) (any, error) { return f.Invoke(ctx, c, next) }
}

// connected calls the hook behind the filters.
func (s *Server) connected(c *Conn) error {
	h := func(c *Conn) error { s.up(c); return nil }
	for i := len(s.filters) - 1; i >= 0; i-- {
		if f, next := s.filters[i].Connect, h; f != nil {
			h = func(c *Conn) error { return f(c, next) }
		}
	}
	return h(c)
}

// connected tells the hub of a new connection; a filter that refuses it ends it.
func (c *Conn) connected() {
	if err := c.s.connected(c); err != nil {
		c.Close(err)
	}
}

// disconnected calls the hook behind the filters.
func (s *Server) disconnected(c *Conn, cause error) {
	h := s.down
	for i := len(s.filters) - 1; i >= 0; i-- {
		if f, next := s.filters[i].Disconnect, h; f != nil {
			h = func(c *Conn, cause error) { f(c, cause, next) }
		}
	}
	h(c, cause)
}
