package redis

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/backplane/backplanetest"
	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
)

// host is one node of a hub, as a program builds it: a plane, a mux, a server.
type host struct {
	*signalr.Server
	mux  *backplane.Mux
	pipe *signalrtest.Pipe
	news chan struct{} // of the connection
}

func newHost(t *testing.T, e *engine, name string) *host {
	t.Helper()
	h := &host{mux: backplane.NewMux(e.join(name)), news: make(chan struct{}, 100)}
	h.mux.OnConnected(func(bool) { h.news <- struct{}{} })
	cluster := backplane.NewCluster(h.mux)
	var err error
	if h.Server, err = signalr.New(signalr.Config{Cluster: cluster}, slog.New(slog.NewTextHandler(io.Discard, nil))); err != nil {
		t.Fatal(err)
	}
	cluster.Serve(h.Server)
	h.Handle("Join", func(_ context.Context, c *signalr.Call) (any, error) {
		var g string
		if err := c.Bind(&g); err != nil {
			return nil, err
		}
		return c.Conn().Join(g)
	})
	h.pipe = signalrtest.NewPipe(h.Server)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- h.Run(ctx) }()
	go func() { ended <- h.mux.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		for range 2 {
			if err := <-ended; err != nil {
				t.Errorf("node %s: %v", name, err)
			}
		}
		_ = h.pipe.Close()
	})
	return h
}

func (h *host) client(t *testing.T, group string, codec protocol.Codec) (c *signalrtest.Client, heard chan string) {
	t.Helper()
	heard = make(chan string, 10_000)
	c, err := signalrtest.Dial(t.Context(), "http://hub.test/hub", signalrtest.Options{NetDial: h.pipe.Dial, Protocol: codec,
		On: map[string]func([]json.RawMessage){"Push": func(args []json.RawMessage) { heard <- string(args[0]) }}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := c.Invoke(t.Context(), "Join", group); err != nil {
		t.Fatal(err)
	}
	return c, heard
}

func next(t *testing.T, heard chan string) string {
	t.Helper()
	select {
	case s := <-heard:
		return s
	case <-time.After(backplanetest.Patience):
		t.Fatal("nothing heard")
		return ""
	}
}

// met waits until a group's event of h reaches a client elsewhere.
func met(t *testing.T, h *host, heard chan string) {
	t.Helper()
	end := time.After(backplanetest.Patience)
	for got := false; !got; {
		h.Group("north").Send("Push", "hello")
		select {
		case <-heard:
			got = true
		case <-time.After(5 * time.Millisecond):
		case <-end:
			t.Fatal("the nodes do not meet")
		}
	}
	h.Group("north").Send("Push", "last")
	for next(t, heard) != `"last"` {
	}
}

// TestHub: two nodes are one hub, also when the server between them stalls, and is
// emptied: what a node sends its own members is never late, and the others' come.
func TestHub(t *testing.T) {
	e := startEngine(t)
	a, b := newHost(t, e, "a"), newHost(t, e, "b")
	_, ha := a.client(t, "north", protocol.JSON)
	cb, hb := b.client(t, "north", protocol.MessagePack)
	met(t, a, hb)
	for next(t, ha) != `"last"` { // its own member hears the same, in its own time
	}
	both := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			for _, heard := range []chan string{ha, hb} {
				if got := next(t, heard); got != fmt.Sprint(i) {
					t.Fatalf("event %d is %s", i, got)
				}
			}
		}
	}
	send := func(from, to int) {
		for i := from; i < to; i++ {
			a.Group("north").Send("Push", i)
		}
	}
	send(0, 500)
	both(0, 500)
	e.signal(syscall.SIGSTOP)
	send(500, 600)
	for i := 500; i < 600; i++ {
		if got := next(t, ha); got != fmt.Sprint(i) {
			t.Fatalf("local event %d is %s", i, got)
		}
	}
	e.signal(syscall.SIGCONT)
	for i := 500; i < 600; i++ {
		if got := next(t, hb); got != fmt.Sprint(i) {
			t.Fatalf("event %d is %s", i, got)
		}
	}
	e.do("FLUSHALL")
	send(600, 700)
	both(600, 700)

	cb.Answer("Where", func([]json.RawMessage) (any, error) { return "kitchen", nil })
	if _, got, err := a.Client(cb.ID()).InvokeOne(t.Context(), "Where"); err != nil || string(got) != `"kitchen"` {
		t.Errorf("a client of the other node answers %s, %v", got, err)
	}
	if n := a.Client(cb.ID()).Send("Push", "for you"); n != 0 {
		t.Errorf("queued for %d of ours", n)
	}
	if got := next(t, hb); got != `"for you"` {
		t.Errorf("heard %s", got)
	}
}
