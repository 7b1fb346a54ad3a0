package signalr_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
)

// streams are the stream methods that the tests call.
func streams(s *signalr.Server) {
	s.Method("Count", signalr.Stream1(func(_ context.Context, _ *signalr.Call, n int, out *signalr.Stream[int]) error {
		for i := range n {
			if err := out.Send(i); err != nil {
				return err
			}
		}
		return nil
	}))
	s.Method("Forever", signalr.Stream0(func(ctx context.Context, c *signalr.Call, out *signalr.Stream[int]) error {
		_ = c.Conn().Send("Began")
		<-ctx.Done()
		_ = c.Conn().Send("Cancelled")
		return out.Send(1) // too late
	}))
	s.Method("Early", signalr.Stream0(func(context.Context, *signalr.Call, *signalr.Stream[int]) error {
		return &signalr.HubError{Kind: "InvalidOperationException", Text: "early"}
	}))
	s.Method("Late", signalr.Stream0(func(_ context.Context, _ *signalr.Call, out *signalr.Stream[int]) error {
		return errors.Join(out.Send(1), signalr.Error("late"))
	}))
	s.Method("Odd", signalr.Stream0(func(_ context.Context, _ *signalr.Call, out *signalr.Stream[any]) error {
		return out.Send(make(chan int))
	}))
	s.Method("Bang", signalr.Stream0(func(context.Context, *signalr.Call, *signalr.Stream[int]) error { panic("secret") }))
}

func call(kind int, id, target, args string) string {
	return fmt.Sprintf(`{"type":%d,"invocationId":%q,"target":%q,"arguments":[%s]}`+"\x1e", kind, id, target, args)
}

func TestStreamOnTheWire(t *testing.T) {
	h := newSite(t, signalr.Config{}, streams)
	r := h.greeted(t, "")
	fails := `"error":"An unexpected error occurred invoking `
	for _, tc := range []struct {
		name, send string
		want       []string
	}{
		{"items, then one completion", call(4, "1", "count", "2"),
			[]string{`{"type":2,"invocationId":"1","item":0}`, `{"type":2,"invocationId":"1","item":1}`, `{"type":3,"invocationId":"1"}`}},
		{"no items", call(4, "2", "Count", "0"), []string{`{"type":3,"invocationId":"2"}`}},
		{"error before the first item", call(4, "3", "Early", ""),
			[]string{`{"type":3,"invocationId":"3",` + fails + `'Early' on the server. InvalidOperationException: early"}`}},
		{"error behind an item", call(4, "4", "Late", ""),
			[]string{`{"type":2,"invocationId":"4","item":1}`,
				`{"type":3,"invocationId":"4","error":"An error occurred on the server while streaming results. HubException: late"}`}},
		{"item that cannot be encoded", call(4, "5", "Odd", ""), []string{`{"type":3,"invocationId":"5",` + fails + `'Odd' on the server."}`}},
		{"panic", call(4, "6", "Bang", ""), []string{`{"type":3,"invocationId":"6",` + fails + `'Bang' on the server."}`}},
		{"wrong arguments", call(4, "7", "Count", `"x"`),
			[]string{`{"type":3,"invocationId":"7","error":"Failed to invoke 'Count' due to an error on the server."}`}},
		{"plain invoke of a stream", call(1, "8", "Count", "1"),
			[]string{`{"type":3,"invocationId":"8","error":"The client attempted to invoke the streaming 'Count' method with a non-streaming invocation."}`}},
		{"stream of a plain method", call(4, "9", "Void", ""),
			[]string{`{"type":3,"invocationId":"9","error":"The client attempted to invoke the non-streaming 'Void' method with a streaming invocation."}`}},
		{"stream of nothing", call(4, "10", "Nothing", ""), []string{`{"type":3,"invocationId":"10","error":"Unknown hub method 'Nothing'"}`}},
		{"unknown cancel", `{"type":5,"invocationId":"77"}` + "\x1e" + call(1, "11", "Void", ""), []string{`{"type":3,"invocationId":"11"}`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r.t = t
			r.send(tc.send)
			r.want(tc.want...)
		})
	}
}

func TestCancelEndsAStreamAtOnce(t *testing.T) {
	h := newSite(t, signalr.Config{}, streams)
	r := h.greeted(t, "")
	r.send(call(4, "1", "Forever", ""))
	r.want(`{"type":1,"target":"Began","arguments":[]}`)
	r.send(`{"type":5,"invocationId":"1"}` + "\x1e")
	r.want(`{"type":1,"target":"Cancelled","arguments":[]}`, `{"type":3,"invocationId":"1"}`)
	r.send(`{"type":5,"invocationId":"1"}` + "\x1e" + call(1, "3", "Void", ""))
	r.want(`{"type":3,"invocationId":"3"}`)
	if n := h.Stats().Streams; n != 0 {
		t.Errorf("%d streams run", n)
	}
}

func TestCancelEndsAPlainCall(t *testing.T) {
	h := newSite(t, signalr.Config{}, nil)
	r := h.greeted(t, "")
	r.send(call(1, "1", "Wait", "") + `{"type":5,"invocationId":"1"}` + "\x1e")
	r.want(`{"type":3,"invocationId":"1","error":"An unexpected error occurred invoking 'Wait' on the server. HubException: cancelled"}`)
}

func TestDisconnectCancelsStreams(t *testing.T) {
	began, ended := make(chan struct{}), make(chan struct{})
	h := newSite(t, signalr.Config{}, func(s *signalr.Server) {
		s.HandleStream("Forever", func(ctx context.Context, _ *signalr.Call, _ *signalr.Stream[any]) error {
			close(began)
			<-ctx.Done()
			close(ended)
			return nil
		})
	})
	c := h.dial(t, signalrtest.Options{})
	if _, err := c.Stream(context.Background(), "Forever"); err != nil {
		t.Fatal(err)
	}
	<-began
	c.Drop()
	<-ended
}

// A client that does not read lets the stream wait; it is neither cut nor does
// the server pile items up.
func TestStreamIsNoFasterThanItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const items = 2000
		sent := 0
		h := newSite(t, signalr.Config{OutboxBytes: 200_000}, func(s *signalr.Server) {
			s.Method("Pour", signalr.Stream0(func(_ context.Context, _ *signalr.Call, out *signalr.Stream[string]) error {
				for ; sent < items; sent++ {
					if err := out.Send(strings.Repeat("x", 1000)); err != nil {
						return err
					}
				}
				return nil
			}))
		})
		r := h.greeted(t, "")
		r.send(call(4, "1", "Pour", ""))
		synctest.Wait()
		if sent > 150 {
			t.Errorf("%d items of 1000 bytes wait for a client that reads nothing", sent)
		}
		for i := range items {
			if got := r.next(); !strings.HasPrefix(got, `{"type":2,"invocationId":"1","item":"xxx`) {
				t.Fatalf("item %d: %.80s", i, got)
			}
		}
		r.want(`{"type":3,"invocationId":"1"}`)
	})
}

func TestManyStreamsShareAConnection(t *testing.T) {
	h := newSite(t, signalr.Config{OutboxBytes: 100_000}, streams)
	c := h.dial(t, signalrtest.Options{})
	ctx := context.Background()
	var open []*signalrtest.Stream
	for range 50 {
		s, err := c.Stream(ctx, "Count", 200)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, s)
	}
	for _, s := range open {
		for i := range 200 {
			item, err := s.Next(ctx)
			if err != nil || string(item) != fmt.Sprint(i) {
				t.Fatalf("item %d: %s, %v", i, item, err)
			}
		}
		if _, err := s.Next(ctx); err != io.EOF {
			t.Fatalf("end: %v", err)
		}
	}
}

func TestStreamsAreBounded(t *testing.T) {
	h := newSite(t, signalr.Config{MaximumStreams: 1}, streams)
	r := h.greeted(t, "")
	r.send(call(4, "1", "Forever", ""))
	r.want(`{"type":1,"target":"Began","arguments":[]}`)
	r.send(call(4, "2", "Forever", ""))
	r.want(`{"type":3,"invocationId":"2","error":"An unexpected error occurred invoking 'Forever' on the server. HubException: too many calls of this connection are unanswered"}`)
	r.send(`{"type":5,"invocationId":"1"}` + "\x1e")
	r.want(`{"type":1,"target":"Cancelled","arguments":[]}`, `{"type":3,"invocationId":"1"}`)
	r.send(call(4, "3", "Count", "0"))
	r.want(`{"type":3,"invocationId":"3"}`)
}

func TestStreamsRunBesideACall(t *testing.T) {
	h := newSite(t, signalr.Config{}, streams)
	r := h.greeted(t, "")
	r.send(call(1, "1", "Wait", "") + call(4, "2", "Count", "1"))
	r.want(`{"type":2,"invocationId":"2","item":0}`, `{"type":3,"invocationId":"2"}`)
	// Behind a call that waits for its turn, a stream waits for that turn, too.
	r.send(call(1, "3", "Void", "") + call(4, "4", "Count", "0") + `{"type":5,"invocationId":"1"}` + "\x1e")
	if got := r.next(); !strings.Contains(got, `"invocationId":"1"`) {
		t.Errorf("first %s", got)
	}
	got := []string{r.next(), r.next()}
	for _, id := range []string{"3", "4"} {
		if want := `{"type":3,"invocationId":"` + id + `"}`; got[0] != want && got[1] != want {
			t.Errorf("%s is missing in %v", want, got)
		}
	}
}

func TestParallelInvocations(t *testing.T) {
	h := newSite(t, signalr.Config{MaximumParallelInvocationsPerClient: 2}, nil)
	r := h.greeted(t, "")
	r.send(call(1, "1", "Wait", "") + call(1, "2", "Void", ""))
	r.want(`{"type":3,"invocationId":"2"}`)
	r.send(call(1, "3", "Wait", "") + call(1, "4", "Void", "") + `{"type":5,"invocationId":"1"}` + "\x1e")
	if got := r.next(); !strings.Contains(got, `"invocationId":"1"`) {
		t.Errorf("first %s", got)
	}
	r.want(`{"type":3,"invocationId":"4"}`)
}

func TestStreamIDInUse(t *testing.T) {
	h := newSite(t, signalr.Config{}, streams)
	r := h.greeted(t, "")
	r.send(call(4, "1", "Forever", ""))
	r.want(`{"type":1,"target":"Began","arguments":[]}`)
	r.send(call(4, "1", "Count", "1"))
	r.want(`{"type":3,"invocationId":"1","error":"Invocation ID '1' is already in use."}`)
	r.send(`{"type":5,"invocationId":"1"}` + "\x1e")
	r.want(`{"type":1,"target":"Cancelled","arguments":[]}`, `{"type":3,"invocationId":"1"}`)
}

func TestActiveStreams(t *testing.T) {
	h := newSite(t, signalr.Config{}, func(s *signalr.Server) {
		streams(s)
		s.Method("ActiveStreams", signalr.Func0(func(_ context.Context, c *signalr.Call) (int, error) {
			return c.Conn().ActiveStreams(), nil
		}))
	})
	began := make(chan struct{}, 2)
	c := h.dial(t, signalrtest.Options{On: map[string]func([]json.RawMessage){"Began": func([]json.RawMessage) { began <- struct{}{} }}})
	ctx := context.Background()
	var open []*signalrtest.Stream
	for range 2 {
		s, err := c.Stream(ctx, "Forever")
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, s)
		<-began
	}
	if n := invoke(t, c, "ActiveStreams"); n != "2" {
		t.Errorf("%s streams", n)
	}
	_ = open[0].Cancel()
	if _, err := open[0].Next(ctx); err != io.EOF {
		t.Errorf("cancelled stream ended with %v", err)
	}
	if n := invoke(t, c, "ActiveStreams"); n != "1" {
		t.Errorf("%s streams after a cancel", n)
	}
}

// What a method waits for may depend on a stream that the client asks for.
func TestStreamsDoNotWaitWhileAMethodAsks(t *testing.T) {
	h := newSite(t, signalr.Config{}, func(s *signalr.Server) { streams(s); askers(s) })
	r := h.greeted(t, "")
	r.send(call(1, "1", "AskDouble", "4"))
	r.want(`{"type":1,"invocationId":"s1","target":"Double","arguments":[4]}`)
	r.send(call(1, "2", "Void", "") + call(4, "3", "Count", "0"))
	r.want(`{"type":3,"invocationId":"3"}`)
	r.send(`{"type":3,"invocationId":"s1","result":8}` + "\x1e")
	r.want(`{"type":3,"invocationId":"1","result":8}`, `{"type":3,"invocationId":"2"}`)
}

// The same when the stream was asked for before the method began to wait.
func TestWaitingStreamsOvertakeAMethodThatAsks(t *testing.T) {
	began, goOn := make(chan struct{}), make(chan struct{})
	h := newSite(t, signalr.Config{}, func(s *signalr.Server) {
		streams(s)
		s.Method("Later", signalr.Func0(func(ctx context.Context, c *signalr.Call) (int, error) {
			close(began)
			<-goOn
			return double.Ask(ctx, c.Conn(), 4)
		}))
	})
	r := h.greeted(t, "")
	r.send(call(1, "1", "Later", ""))
	<-began
	r.send(call(1, "2", "Void", "") + call(4, "3", "Count", "0") + call(1, "4", "Void", "") + call(4, "5", "Nothing", ""))
	close(goOn)
	got := []string{r.next(), r.next()}
	for _, want := range []string{`{"type":1,"invocationId":"s1","target":"Double","arguments":[4]}`, `{"type":3,"invocationId":"3"}`} {
		if got[0] != want && got[1] != want {
			t.Errorf("%s is missing in %v", want, got)
		}
	}
	r.send(`{"type":3,"invocationId":"s1","result":8}` + "\x1e")
	r.want(`{"type":3,"invocationId":"1","result":8}`, `{"type":3,"invocationId":"2"}`, `{"type":3,"invocationId":"4"}`,
		`{"type":3,"invocationId":"5","error":"Unknown hub method 'Nothing'"}`)
}
