package redis

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// ErrAway is what nobody waits for: the server cannot be reached.
var ErrAway = errors.New("redis: the server is away")

// Server is the connection to the Redis-compatible server, shared by all that use
// it. Its methods are safe for concurrent use.
type Server struct {
	cfg Config

	mu     sync.Mutex
	client rueidis.Client // nil: not yet
	resp2  bool
	closed bool
}

// NewServer makes the connection's keeper. It does not connect.
func NewServer(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Server{cfg: cfg.filled()}, nil
}

// Close ends all connections. What is under way fails.
func (s *Server) Close() {
	s.mu.Lock()
	c := s.client
	s.client, s.closed = nil, true
	s.mu.Unlock()
	if c != nil {
		c.Close()
	}
}

// connected is the client, made where there is none. It may block for patience.
func (s *Server) connected() (rueidis.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, ErrAway
	case s.client != nil:
		return s.client, nil
	}
	o, err := s.cfg.option()
	if err != nil {
		return nil, err
	}
	o.AlwaysRESP2 = s.resp2
	c, err := rueidis.NewClient(o)
	if err != nil && !s.resp2 && oldProtocol(err) {
		s.resp2, o.AlwaysRESP2 = true, true
		s.cfg.Log.Info("server speaks the old protocol", "node", s.cfg.Node)
		c, err = rueidis.NewClient(o)
	}
	if err != nil {
		return nil, err
	}
	s.client = c
	return c, nil
}

// oldProtocol tells whether a server refused HELLO 3.
func oldProtocol(err error) bool {
	text := strings.ToUpper(err.Error())
	return strings.Contains(text, "NOPROTO") || strings.Contains(text, "UNKNOWN COMMAND") || strings.Contains(text, "HELLO")
}

// cluster tells whether the server is one of several.
func cluster(c rueidis.Client) bool { return c.Mode() == rueidis.ClientModeCluster }

// master is the address of the server that sentinels name at the moment; empty where
// there are none.
func master(c rueidis.Client) string {
	if c.Mode() == rueidis.ClientModeSentinel {
		for addr := range c.Nodes() {
			return addr
		}
	}
	return ""
}

// do runs commands in one pipeline and answers the first error.
func (s *Server) do(ctx context.Context, commands func(rueidis.Builder) rueidis.Commands) ([]rueidis.RedisResult, error) {
	c, err := s.connected()
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	out := c.DoMulti(ctx, pinned(commands(c.B()))...)
	for _, r := range out {
		if err := r.NonRedisError(); err != nil {
			return nil, err
		}
	}
	for _, r := range out {
		if err := r.Error(); err != nil && !rueidis.IsRedisNil(err) {
			return out, err
		}
	}
	return out, nil
}

// pinned keeps commands from being used again by the library once they are answered: of a
// connection that breaks it may still be writing them then, with what they have become.
func pinned(list rueidis.Commands) rueidis.Commands {
	for i := range list {
		list[i] = list[i].Pin()
	}
	return list
}

// backoff is the waits between tries: it doubles from 50 ms to 2 s.
type backoff struct{ last time.Duration }

func (b *backoff) next() time.Duration {
	b.last = min(max(2*b.last, 50*time.Millisecond), 2*time.Second)
	return b.last
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
