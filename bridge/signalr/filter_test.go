package signalr_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
)

func TestFilters(t *testing.T) {
	seen := make(chan string, 100)
	note := func(who string) signalr.Filter {
		return signalr.Filter{
			Invoke: func(ctx context.Context, c *signalr.Call, next signalr.Handler) (any, error) {
				seen <- who + " before " + c.Name()
				result, err := next(ctx, c)
				seen <- who + " after " + c.Name()
				if s, ok := result.(string); ok {
					result = who + s
				}
				return result, err
			},
			Connect: func(c *signalr.Conn, next func(*signalr.Conn) error) error {
				seen <- who + " connect"
				return next(c)
			},
			Disconnect: func(c *signalr.Conn, cause error, next func(*signalr.Conn, error)) {
				next(c, cause)
				seen <- who + " disconnect"
			},
		}
	}
	h := newSite(t, signalr.Config{}, func(s *signalr.Server) {
		streams(s)
		s.Method("Say", signalr.Func1(func(_ context.Context, _ *signalr.Call, text string) (string, error) { return text, nil }))
		s.OnConnect(func(*signalr.Conn) { seen <- "connected" })
		s.OnDisconnect(func(*signalr.Conn, error) { seen <- "disconnected" })
		s.Use(note("1"))
		s.Use(signalr.Filter{Invoke: func(ctx context.Context, c *signalr.Call, next signalr.Handler) (any, error) {
			if c.Name() == "Fail" {
				return nil, signalr.Error("filtered")
			}
			return next(ctx, c)
		}})
		s.Use(note("2"))
	})
	c := h.dial(t, signalrtest.Options{})
	if got := invoke(t, c, "Say", "x"); got != `"12x"` {
		t.Errorf("result is %s", got)
	}
	if _, err := c.Invoke(context.Background(), "Fail"); err == nil || !strings.HasSuffix(err.Error(), "HubException: filtered") {
		t.Errorf("refused by a filter: %v", err)
	}
	s, err := c.Stream(context.Background(), "Count", 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Next(context.Background()); err != nil {
		t.Error(err)
	}
	_, _ = s.Next(context.Background())
	_ = c.Close()
	for _, want := range []string{
		"1 connect", "2 connect", "connected",
		"1 before Say", "2 before Say", "2 after Say", "1 after Say",
		"1 before Fail", "1 after Fail",
		"1 before Count", "2 before Count", "2 after Count", "1 after Count",
		"disconnected", "2 disconnect", "1 disconnect",
	} {
		if got := <-seen; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestFilterRefusesAConnection(t *testing.T) {
	h := newSite(t, signalr.Config{}, func(s *signalr.Server) {
		s.Use(signalr.Filter{Connect: func(*signalr.Conn, func(*signalr.Conn) error) error { return signalr.Error("full") }})
	})
	r := h.raw(t, "")
	r.send(hello)
	r.want("{}", `{"type":7,"error":"Connection closed with an error. HubException: full"}`, "EOF")
}
