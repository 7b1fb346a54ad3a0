package deviced

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/clip"
)

// chair is a place among the members that the test moves.
type chair struct {
	mu    sync.Mutex
	addr  string
	gives chan string // each that was told
}

func (c *chair) Roster() (area.Peers, bool) { return area.Peers{}, false }

func (c *chair) Peer() *area.Peer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.addr == "" {
		return nil
	}
	return &area.Peer{Addr: c.addr}
}

func (c *chair) Gives(addr string) { c.gives <- addr }

func (c *chair) moves(s *sharing, addr string) {
	c.mu.Lock()
	c.addr = addr
	c.mu.Unlock()
	s.look()
}

// nothing is a shelf without clips.
type nothing struct{}

func (nothing) Look(clip.Sum) (io.ReadSeekCloser, error) { return nil, clip.ErrNotFound }

func (nothing) Has(clip.Sum) (whole, coming bool) { return false, false }

func sharer(t *testing.T, change func(*Config)) (*sharing, *chair) {
	t.Helper()
	cfg := Default()
	cfg.Device, cfg.Area, cfg.Sim = "gate-1", "north", true
	if change != nil {
		change(&cfg)
	}
	s, err := cfg.newSharing(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c := &chair{gives: make(chan string, 10)}
	if err := s.give(cfg, nothing{}, c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s, c
}

// Clips are given where the membership listens, as soon as that is known, and
// elsewhere when it is elsewhere; at the end nowhere.
func TestClipsAreGivenWhereTheDeviceIs(t *testing.T) {
	s, c := sharer(t, func(c *Config) { c.Clips.Listen = ":0" }) // a port that nobody else asks for
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.beside(ctx, func(ctx context.Context) error { <-ctx.Done(); return nil }) }()
	c.moves(s, "127.0.0.1:7946")
	first := <-c.gives
	if host, _, err := net.SplitHostPort(first); err != nil || host != "127.0.0.1" {
		t.Errorf("it gives at %q", first)
	}
	if conn, err := net.Dial("tcp", first); err != nil {
		t.Error(err)
	} else {
		conn.Close()
	}
	c.moves(s, "127.0.0.1:7000") // the membership alone has another port
	c.moves(s, "127.0.0.2:7000")
	if gone, next := <-c.gives, <-c.gives; gone != "" || !strings.HasPrefix(next, "127.0.0.2:") {
		t.Errorf("then it gives at %q, then at %q", gone, next)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if last := <-c.gives; last != "" {
		t.Errorf("at the end it gives at %q", last)
	}
	if conn, err := net.Dial("tcp", first); err == nil {
		conn.Close()
		t.Error("somebody still listens")
	}
}

// The port may be configured; the usual one may be another's.
func TestWhereClipsAreGiven(t *testing.T) {
	held, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	s, c := sharer(t, nil)
	c.addr = "127.74.46.1:7946" // where no device of another test is
	ip := s.address()
	usual, err := net.Listen("tcp", "127.74.46.1:7947")
	if err != nil {
		t.Fatal(err)
	}
	defer usual.Close()
	l, err := s.listener(ip)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if strings.HasSuffix(l.Addr().String(), ":7947") {
		t.Error("two listen at one port")
	}
	s.listen = held.Addr().String()
	if _, err := s.listener(ip); err == nil {
		t.Error("a configured port that is another's is left for any")
	}
	s.listen = ":0"
	if l, err = s.listener(ip); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if !strings.HasPrefix(l.Addr().String(), "127.74.46.1:") {
		t.Errorf("it listens at %s", l.Addr())
	}
}

// Who shares nothing has no listener and asks nobody.
func TestClipsOfTheirOwn(t *testing.T) {
	for name, change := range map[string]func(*Config){"share": func(c *Config) { c.Clips.Share = false }, "peers": func(c *Config) { c.Peers.Mode = PeersOff }} {
		cfg := Default()
		change(&cfg)
		s, err := cfg.newSharing(slog.New(slog.DiscardHandler))
		if s != nil || err != nil || s.clips() != nil || s.give(cfg, nothing{}, &chair{}) != nil {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
		s.look()
		if err := s.beside(t.Context(), func(context.Context) error { return io.EOF }); err != io.EOF {
			t.Errorf("%s: %v", name, err)
		}
		s.close()
	}
	for listen, good := range map[string]bool{"": true, ":7947": true, "10.0.0.5:0": true, "[::1]:7947": true, "7947": false, "gate-1:7947": false, ":70000": false, "10.0.0.5": false} {
		if wrong := (Clips{Listen: listen}).checkListen(); (wrong == "") != good {
			t.Errorf("%q: %q", listen, wrong)
		}
	}
}
