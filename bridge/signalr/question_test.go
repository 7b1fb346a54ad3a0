package signalr_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
)

const double signalr.Question1[int, int] = "Double"

// askers are the methods that ask their caller.
func askers(s *signalr.Server) {
	s.Method("AskDouble", signalr.Func1(func(ctx context.Context, c *signalr.Call, n int) (int, error) {
		return double.Ask(ctx, c.Conn(), n)
	}))
	s.Method("AskAny", signalr.Func1(func(ctx context.Context, c *signalr.Call, v any) (json.RawMessage, error) {
		return c.Conn().Invoke(ctx, "Any", v)
	}))
}

func TestQuestionOnTheWire(t *testing.T) {
	h := newSite(t, signalr.Config{}, askers)
	r := h.greeted(t, "")
	for _, tc := range []struct{ name, answer, want string }{
		{"answer", `{"type":3,"invocationId":"s1","result":8}`, `"result":8`},
		{"error", `{"type":3,"invocationId":"s2","error":"no"}`,
			`"error":"An unexpected error occurred invoking 'AskDouble' on the server. HubException: no"`},
		{"no answer", `{"type":3,"invocationId":"s3"}`,
			`"error":"An unexpected error occurred invoking 'AskDouble' on the server. HubException: Client didn't provide a result."`},
		{"answer of another type", `{"type":3,"invocationId":"s4","result":"x"}`,
			`"error":"An unexpected error occurred invoking 'AskDouble' on the server."`},
		{"an answer that nobody awaits before it", `{"type":3,"invocationId":"s99","result":1}` + "\x1e" + `{"type":3,"invocationId":"s5","result":1}`, `"result":1`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r.t = t
			r.send(call(1, "c", "AskDouble", "4"))
			question := r.next()
			var q struct {
				Type         int
				InvocationID string `json:"invocationId"`
				Target       string
				Arguments    []int
			}
			if err := json.Unmarshal([]byte(question), &q); err != nil || q.Type != 1 || q.InvocationID == "" || q.Target != "Double" || len(q.Arguments) != 1 {
				t.Fatalf("question is %s", question)
			}
			r.send(tc.answer + "\x1e")
			r.want(`{"type":3,"invocationId":"c",` + tc.want + `}`)
		})
	}
}

func TestQuestionsToTheClient(t *testing.T) {
	h := newSite(t, signalr.Config{}, askers)
	c := h.dial(t, signalrtest.Options{})
	c.Answer("double", func(args []json.RawMessage) (any, error) {
		var n int
		err := json.Unmarshal(args[0], &n)
		return 2 * n, err
	})
	if got := invoke(t, c, "AskDouble", 21); got != "42" {
		t.Errorf("answer is %s", got)
	}
	c.Answer("Any", func(args []json.RawMessage) (any, error) { return args[0], nil })
	for _, v := range []string{`null`, `[1,{"a":null}]`, `"x"`} {
		if got := invoke(t, c, "AskAny", json.RawMessage(v)); got != v {
			t.Errorf("answer to %s is %s", v, got)
		}
	}
	c.Answer("Any", nil)
	_, err := c.Invoke(context.Background(), "AskAny", 1)
	if want := "An unexpected error occurred invoking 'AskAny' on the server. HubException: Client didn't provide a result."; err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

func TestQuestionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conns := make(chan *signalr.Conn, 1)
		h := newSite(t, signalr.Config{MaximumPendingResults: 1}, func(s *signalr.Server) { s.OnConnect(func(c *signalr.Conn) { conns <- c }) })
		r := h.greeted(t, "")
		c := <-conns
		answered := make(chan error, 1)
		ask := func(ctx context.Context) {
			_, err := c.Invoke(ctx, "Any")
			answered <- err
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		go ask(ctx)
		_ = r.next()
		synctest.Wait()
		if _, err := c.Invoke(ctx, "Any"); !errors.Is(err, signalr.ErrQuestions) {
			t.Errorf("too many: %v", err)
		}
		if err := <-answered; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("timeout: %v", err)
		}
		r.send(`{"type":3,"invocationId":"s1","result":1}` + "\x1e" + call(1, "1", "Void", "")) // too late
		r.want(`{"type":3,"invocationId":"1"}`)
		go ask(context.Background())
		_ = r.next()
		_ = r.link.Close()
		if err := <-answered; !errors.Is(err, signalr.ErrClosed) {
			t.Errorf("lost connection: %v", err)
		}
		if _, err := c.Invoke(context.Background(), "Any"); !errors.Is(err, signalr.ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// A method waits for an answer, and the client sends more calls and more items
// than there is room for before it answers: nothing stands still.
func TestNoDeadlockWhileAMethodWaits(t *testing.T) {
	h := newSite(t, signalr.Config{MaximumQueuedCalls: 2, StreamBufferCapacity: 2}, func(s *signalr.Server) {
		s.Method("Both", signalr.Func1(func(ctx context.Context, c *signalr.Call, items signalr.Upload[int]) (sum int, err error) {
			answer, err := signalr.Ask[int](ctx, c.Conn(), "Now")
			if err != nil {
				return 0, err
			}
			for n, err := range items.All(ctx) {
				if err != nil {
					return 0, err
				}
				sum += n
			}
			return sum + answer, nil
		}))
	})
	r := h.greeted(t, "")
	r.send(upload("1", "Both", "", `"u"`))
	r.want(`{"type":1,"invocationId":"s1","target":"Now","arguments":[]}`)
	for range 20 {
		r.send(item("u", "1"))
	}
	r.send(call(1, "w", "Wait", ""))
	for range 20 {
		r.send(call(1, "", "Void", ""))
	}
	r.send(end("u", "") + `{"type":3,"invocationId":"s1","result":100}` + "\x1e")
	r.want(`{"type":3,"invocationId":"1","result":120}`)
	r.send(`{"type":5,"invocationId":"w"}` + "\x1e" + call(1, "z", "Void", ""))
	r.want(`{"type":3,"invocationId":"w","error":"An unexpected error occurred invoking 'Wait' on the server. HubException: cancelled"}`,
		`{"type":3,"invocationId":"z"}`)
}

func TestFloodWhileAMethodWaitsIsRefused(t *testing.T) {
	h := newSite(t, signalr.Config{MaximumQueuedCalls: 2}, askers)
	r := h.greeted(t, "")
	r.send(call(1, "1", "AskDouble", "1"))
	r.want(`{"type":1,"invocationId":"s1","target":"Double","arguments":[1]}`)
	for range 32 {
		r.send(`{"type":1,"target":"Void","arguments":[]}` + "\x1e")
	}
	r.send(call(1, "2", "Void", ""))
	r.want(`{"type":3,"invocationId":"2","error":"An unexpected error occurred invoking 'Void' on the server. HubException: too many calls of this connection are unanswered"}`)
	r.send(`{"type":3,"invocationId":"s1","result":2}` + "\x1e")
	r.want(`{"type":3,"invocationId":"1","result":2}`)
	if n := h.Stats().RefusedCalls; n != 1 {
		t.Errorf("%d calls refused", n)
	}
}

func TestInvokeOneAndAll(t *testing.T) {
	h := newSite(t, signalr.Config{}, nil)
	ctx := context.Background()
	if _, _, err := h.All().InvokeOne(ctx, "Any"); !errors.Is(err, signalr.ErrNobody) {
		t.Errorf("nobody: %v", err)
	}
	var clients []*signalrtest.Client
	for range 3 {
		c := h.dial(t, signalrtest.Options{})
		invoke(t, c, "JoinGroup", "g")
		clients = append(clients, c)
	}
	hold := make(chan struct{})
	defer close(hold)
	clients[0].Answer("Double", func([]json.RawMessage) (any, error) { return nil, errors.New("busy") })
	clients[1].Answer("Double", func([]json.RawMessage) (any, error) { <-hold; return 0, nil })
	clients[2].Answer("Double", func([]json.RawMessage) (any, error) { return 8, nil })
	who, n, err := double.AskOne(ctx, h.Group("g"), 4)
	if err != nil || n != 8 || who != clients[2].ID() {
		t.Errorf("first answer: %v %v %v", who, n, err)
	}
	clients[1].Answer("Double", func([]json.RawMessage) (any, error) { return "x", nil })
	good, bad := 0, 0
	for _, a := range double.AskAll(ctx, h.Group("g"), 4) {
		if a.Err == nil && a.Result == 8 && a.Conn.ID() == clients[2].ID() {
			good++
		} else if a.Err != nil {
			bad++
		}
	}
	if good != 1 || bad != 2 {
		t.Errorf("%d good answers, %d bad ones", good, bad)
	}
	if _, _, err := double.AskOne(ctx, h.Group("g").Except(clients[2].ID()), 4); err == nil || errors.Is(err, signalr.ErrNobody) {
		t.Errorf("no good answer: %v", err)
	}
	if got := h.Group("g").InvokeAll(ctx, "Double", 4); len(got) != 3 {
		t.Errorf("%d answers", len(got))
	}
}
