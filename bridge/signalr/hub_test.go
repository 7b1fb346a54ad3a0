package signalr_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
)

const hubURL = "http://hub.test/hub"

// site is a hub with the methods that the tests call, served over net.Pipe.
type site struct {
	*signalr.Server
	pipe *signalrtest.Pipe
	stop func() // ends Run and waits
}

func newSite(t *testing.T, cfg signalr.Config, more func(*signalr.Server)) *site {
	t.Helper()
	s, err := signalr.New(cfg, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	methods(s)
	if more != nil {
		more(s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var runs sync.WaitGroup
	runs.Go(func() { _ = s.Run(ctx) })
	h := &site{Server: s, pipe: signalrtest.NewPipe(s), stop: func() { cancel(); runs.Wait() }}
	t.Cleanup(func() { h.stop(); _ = h.pipe.Close() })
	return h
}

// methods are those of the conformance hub that fit here.
func methods(s *signalr.Server) {
	s.Handle("Echo", func(_ context.Context, c *signalr.Call) (any, error) {
		var v any
		err := c.Bind(&v)
		if v == nil && err == nil {
			return signalr.Null{}, nil
		}
		return v, err
	})
	s.Handle("Void", func(context.Context, *signalr.Call) (any, error) { return nil, nil })
	s.Handle("Add", func(_ context.Context, c *signalr.Call) (any, error) {
		var a, b int
		if err := c.Bind(&a, &b); err != nil {
			return nil, err
		}
		return a + b, nil
	})
	s.Handle("Fail", func(_ context.Context, c *signalr.Call) (any, error) { return nil, signalr.Error("taken: by somebody") })
	s.Handle("Break", func(_ context.Context, c *signalr.Call) (any, error) { return nil, errors.New("secret") })
	s.Handle("Panic", func(context.Context, *signalr.Call) (any, error) { panic("secret") })
	s.Handle("Wait", func(ctx context.Context, _ *signalr.Call) (any, error) {
		<-ctx.Done()
		return nil, signalr.Error("cancelled")
	})
	s.Handle("JoinGroup", func(_ context.Context, c *signalr.Call) (any, error) {
		var g string
		if err := c.Bind(&g); err != nil {
			return nil, err
		}
		return c.Conn().Join(g)
	})
	s.Handle("SendToGroup", func(_ context.Context, c *signalr.Call) (any, error) {
		var g string
		var payload json.RawMessage
		if err := c.Bind(&g, &payload); err != nil {
			return nil, err
		}
		return s.Group(g).Send("Push", payload), nil
	})
	s.Handle("Burst", func(_ context.Context, c *signalr.Call) (any, error) {
		var n int
		if err := c.Bind(&n); err != nil {
			return nil, err
		}
		for i := range n {
			if err := c.Conn().Send("Push", i); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
}

func (h *site) dial(t *testing.T, opts signalrtest.Options) *signalrtest.Client {
	t.Helper()
	opts.NetDial = h.pipe.Dial
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := signalrtest.Dial(ctx, hubURL, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func invoke(t *testing.T, c *signalrtest.Client, method string, args ...any) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	got, err := c.Invoke(ctx, method, args...)
	if err != nil {
		t.Fatalf("%s(%v): %v", method, args, err)
	}
	return string(got)
}

func TestCompletions(t *testing.T) {
	h := newSite(t, signalr.Config{}, nil)
	c := h.dial(t, signalrtest.Options{})
	for _, tc := range []struct {
		name, method string
		args         []any
		want         string // result, or the error's text after "!"
	}{
		{"result", "Add", []any{1, 2}, "3"},
		{"case of the name", "aDD", []any{1, 2}, "3"},
		{"void has no result", "Void", nil, ""},
		{"null is a result", "Echo", []any{nil}, "null"},
		{"text", "Echo", []any{"<é\u2028\x1e>"}, "\"<é\u2028\\u001e>\""},
		{"object", "Echo", []any{map[string]any{"Name": "x"}}, `{"Name":"x"}`},
		{"unknown", "Nope", nil, "!Unknown hub method 'Nope'"},
		{"arity", "Add", []any{1}, "!Failed to invoke 'Add' due to an error on the server."},
		{"type", "Add", []any{1, "x"}, "!Failed to invoke 'Add' due to an error on the server."},
		{"null for a number", "Add", []any{1, nil}, "!Failed to invoke 'Add' due to an error on the server."},
		{"meant for users", "Fail", nil, "!An unexpected error occurred invoking 'Fail' on the server. HubException: taken: by somebody"},
		{"internal", "Break", nil, "!An unexpected error occurred invoking 'Break' on the server."},
		{"panic", "Panic", nil, "!An unexpected error occurred invoking 'Panic' on the server."},
	} {
		got, err := c.Invoke(context.Background(), tc.method, tc.args...)
		text := string(got)
		if err != nil {
			text = "!" + err.Error()
		}
		if text != tc.want {
			t.Errorf("%s: %s(%v) = %s, want %s", tc.name, tc.method, tc.args, text, tc.want)
		}
	}
}

func TestDetailedErrors(t *testing.T) {
	h := newSite(t, signalr.Config{EnableDetailedErrors: true}, nil)
	c := h.dial(t, signalrtest.Options{})
	for method, want := range map[string]string{
		"Break": "An unexpected error occurred invoking 'Break' on the server. Exception: secret",
		"Panic": "An unexpected error occurred invoking 'Panic' on the server. Exception: panic: secret",
		"Add":   "Failed to invoke 'Add' due to an error on the server. InvalidDataException: Invocation provides 0 argument(s) but target expects 2.",
	} {
		if _, err := c.Invoke(context.Background(), method); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", method, err, want)
		}
	}
}

func TestGroups(t *testing.T) {
	h := newSite(t, signalr.Config{}, nil)
	pushed := make(chan string, 10)
	on := map[string]func([]json.RawMessage){"push": func(args []json.RawMessage) { pushed <- string(args[0]) }}
	a, b := h.dial(t, signalrtest.Options{On: on}), h.dial(t, signalrtest.Options{SkipNegotiation: true})
	var at, later signalr.Position
	if err := json.Unmarshal([]byte(invoke(t, a, "JoinGroup", "g")), &at); err != nil || at.Offset != 0 || at.Epoch == "" {
		t.Fatalf("first position: %+v, %v", at, err)
	}
	if got := invoke(t, b, "SendToGroup", "g", map[string]int{"n": 1}); got != "1" {
		t.Errorf("sent to %s members, want 1", got)
	}
	if got := <-pushed; got != `{"n":1}` {
		t.Errorf("pushed %s", got)
	}
	if n := h.GroupExcept("g", a.ID()).Send("Push", 2); n != 0 {
		t.Errorf("sent to %d though excepted", n)
	}
	_ = a.Close()
	_ = json.Unmarshal([]byte(invoke(t, b, "JoinGroup", "g")), &later)
	if later.Epoch != at.Epoch || later.Offset != 2 {
		t.Errorf("position %+v after two events from %+v", later, at)
	}
}

func TestPushesKeepTheirOrder(t *testing.T) {
	const n = 10_000
	h := newSite(t, signalr.Config{}, nil)
	next, all := 0, make(chan struct{})
	c := h.dial(t, signalrtest.Options{On: map[string]func([]json.RawMessage){"Push": func(args []json.RawMessage) {
		var i int
		_ = json.Unmarshal(args[0], &i)
		if i != next {
			t.Errorf("got %d, want %d", i, next)
		}
		if next++; next == n {
			close(all)
		}
	}}})
	invoke(t, c, "Burst", n)
	<-all
}

func TestDetachFreesTheCallSlot(t *testing.T) {
	replies := make(chan *signalr.Reply, 1)
	h := newSite(t, signalr.Config{}, func(s *signalr.Server) {
		s.Handle("Later", func(_ context.Context, c *signalr.Call) (any, error) { replies <- c.Detach(); return nil, nil })
	})
	c := h.dial(t, signalrtest.Options{})
	type outcome struct {
		result string
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		r, err := c.Invoke(context.Background(), "Later")
		done <- outcome{string(r), err}
	}()
	reply := <-replies
	if got := invoke(t, c, "Add", 1, 1); got != "2" {
		t.Errorf("call behind a detached one = %s", got)
	}
	if !reply.Complete("late", nil) || reply.Complete("again", nil) {
		t.Error("the first completion counts, and only that")
	}
	if got := <-done; got.result != `"late"` || got.err != nil {
		t.Errorf("detached call = %+v", got)
	}
	if reply.Context().Err() == nil {
		t.Error("context lives on after completion")
	}
}
