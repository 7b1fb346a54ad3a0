package signalr_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
)

func TestServerCloses(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		want string
	}{
		{"in good order", nil, `{"type":7}`},
		{"with a text for the client", signalr.Error("moved"), `{"type":7,"error":"Connection closed with an error. HubException: moved"}`},
		{"for reasons of its own", errors.New("secret"), `{"type":7,"error":"Connection closed with an error."}`},
	} {
		conns, ended := make(chan *signalr.Conn, 1), make(chan error, 1)
		h := newSite(t, signalr.Config{}, func(s *signalr.Server) {
			s.OnConnect(func(c *signalr.Conn) { conns <- c })
			s.OnDisconnect(func(_ *signalr.Conn, err error) { ended <- err })
		})
		r := h.greeted(t, "")
		c := <-conns
		_ = c.Send("Push", 1)
		c.Close(tc.err)
		if err := c.Send("Push", 2); err != signalr.ErrClosed {
			t.Errorf("%s: send after the end: %v", tc.name, err)
		}
		r.want(`{"type":1,"target":"Push","arguments":[1]}`, tc.want, "EOF")
		if err := <-ended; tc.err != nil && err != tc.err {
			t.Errorf("%s: ended with %v", tc.name, err)
		}
		if _, err := c.Join("g"); err != signalr.ErrClosed {
			t.Errorf("%s: join after the end: %v", tc.name, err)
		}
	}
}

func TestDisconnectComesAfterTheLastCall(t *testing.T) {
	events := make(chan string, 4)
	h := newSite(t, signalr.Config{}, func(s *signalr.Server) {
		s.Handle("Hold", func(ctx context.Context, c *signalr.Call) (any, error) {
			_, _ = c.Conn().Join("g")
			events <- "held"
			<-ctx.Done()
			events <- "returned"
			return nil, nil
		})
		s.OnDisconnect(func(c *signalr.Conn, err error) { events <- "left " + strings.Join(c.Groups(), ",") })
	})
	c := h.dial(t, signalrtest.Options{})
	_ = c.Send(context.Background(), "Hold")
	if got := <-events; got != "held" {
		t.Fatal(got)
	}
	c.Drop()
	for _, want := range []string{"returned", "left g"} {
		if got := <-events; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if n := len(h.Members("g")); n != 0 {
		t.Errorf("%d members after the end", n)
	}
}

func TestHookPanicEndsOneConnection(t *testing.T) {
	first := true
	h := newSite(t, signalr.Config{}, func(s *signalr.Server) {
		s.OnConnect(func(c *signalr.Conn) {
			if first {
				first = false
				panic("secret")
			}
		})
	})
	r := h.raw(t, "")
	r.send(hello)
	r.want("{}", `{"type":7,"error":"Connection closed with an error."}`, "EOF")
	invoke(t, h.dial(t, signalrtest.Options{}), "Void")
}

func TestDetachedCallsAreBounded(t *testing.T) {
	replies := make(chan *signalr.Reply, 3)
	h := newSite(t, signalr.Config{MaximumDetachedCalls: 2}, func(s *signalr.Server) {
		s.Handle("Later", func(_ context.Context, c *signalr.Call) (any, error) { replies <- c.Detach(); return nil, nil })
	})
	r := h.greeted(t, "")
	later := func(id string) {
		r.send(`{"type":1,"invocationId":"` + id + `","target":"Later","arguments":[]}` + "\x1e")
	}
	later("1")
	later("2")
	later("3")
	r.want(`{"type":3,"invocationId":"3","error":"An unexpected error occurred invoking 'Later' on the server. HubException: too many calls of this connection are unanswered"}`)
	(<-replies).Complete(nil, signalr.Error("taken"))
	r.want(`{"type":3,"invocationId":"1","error":"An unexpected error occurred invoking 'Later' on the server. HubException: taken"}`)
	later("4")
	(<-replies).Complete(signalr.Null{}, nil)
	r.want(`{"type":3,"invocationId":"2","result":null}`)
	(<-replies).Complete(nil, nil)
	r.want(`{"type":3,"invocationId":"4"}`)
}

// brittle cannot be encoded.
type brittle struct{}

func (brittle) MarshalJSON() ([]byte, error) { panic("secret") }

func TestResultWithoutJSON(t *testing.T) {
	h := newSite(t, signalr.Config{}, func(s *signalr.Server) {
		s.Handle("Brittle", func(context.Context, *signalr.Call) (any, error) { return brittle{}, nil })
		s.Handle("Chan", func(context.Context, *signalr.Call) (any, error) { return make(chan int), nil })
	})
	c := h.dial(t, signalrtest.Options{})
	for _, m := range []string{"Brittle", "Chan"} {
		_, err := c.Invoke(context.Background(), m)
		if want := "An unexpected error occurred invoking '" + m + "' on the server."; err == nil || err.Error() != want {
			t.Errorf("%s: %v", m, err)
		}
	}
	if n := h.All().Send("Push", make(chan int)); n != 0 {
		t.Errorf("an event without JSON was sent to %d", n)
	}
}

func TestForgottenGroupsChangeTheirEpoch(t *testing.T) {
	conns := make(chan *signalr.Conn, 1)
	h := newSite(t, signalr.Config{IdleGroups: 2}, func(s *signalr.Server) { s.OnConnect(func(c *signalr.Conn) { conns <- c }) })
	h.greeted(t, "")
	c := <-conns
	at := map[string]signalr.Position{}
	visit := func(g string) signalr.Position {
		p, err := c.Join(g)
		if err != nil {
			t.Fatal(err)
		}
		c.Leave(g)
		return p
	}
	for _, g := range []string{"a", "b"} {
		at[g] = visit(g)
	}
	h.Group("a").Send("Push", 1) // counts though nobody is there
	if p := visit("a"); p.Epoch != at["a"].Epoch || p.Offset != 1 {
		t.Errorf("a: %+v, was %+v", p, at["a"])
	}
	visit("c") // now b has been empty longest
	if p, ok := h.Position("b"); ok {
		t.Errorf("b is still known: %+v", p)
	}
	if p := visit("b"); p.Epoch == at["b"].Epoch || p.Offset != 0 {
		t.Errorf("b: %+v, was %+v", p, at["b"])
	}
	if n := h.Stats().Groups; n != 0 {
		t.Errorf("%d groups with members", n)
	}
}

func TestGroupsOfAConnectionAreBounded(t *testing.T) {
	h := newSite(t, signalr.Config{MaximumGroups: 2}, nil)
	c := h.dial(t, signalrtest.Options{})
	for _, g := range []string{"a", "b", "a"} {
		invoke(t, c, "JoinGroup", g)
	}
	const want = "An unexpected error occurred invoking 'JoinGroup' on the server. HubException: too many groups"
	if _, err := c.Invoke(context.Background(), "JoinGroup", "c"); err == nil || err.Error() != want {
		t.Errorf("one too many: %v", err)
	}
}

func TestMembershipsSurviveChurn(t *testing.T) {
	conns := make(chan *signalr.Conn, 4)
	h := newSite(t, signalr.Config{}, func(s *signalr.Server) { s.OnConnect(func(c *signalr.Conn) { conns <- c }) })
	var cs [4]*signalr.Conn
	for i := range cs {
		h.greeted(t, "")
		cs[i] = <-conns
		_, _ = cs[i].Join("g")
		_, _ = cs[i].Join("g") // again changes nothing
	}
	cs[0].Leave("g")
	cs[2].Leave("g")
	cs[2].Leave("g")
	_, _ = cs[0].Join("g")
	names := map[string]bool{}
	for _, c := range h.Members("g") {
		names[c.ID()] = true
	}
	if len(names) != 3 || names[cs[2].ID()] || !names[cs[0].ID()] || len(h.Conns()) != 4 {
		t.Errorf("members %v", names)
	}
	if n := h.Client(cs[2].ID()).Send("Push"); n != 1 {
		t.Errorf("sent to %d", n)
	}
	if h.Client("nobody").Send("Push") != 0 || h.Group("nobody").Send("Push") != 0 {
		t.Error("sent to nobody")
	}
}

func TestInvokeCancels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newSite(t, signalr.Config{}, nil)
		c := h.dial(t, signalrtest.Options{})
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := c.Invoke(ctx, "Wait"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Invoke: %v", err)
		}
		invoke(t, c, "Void") // waits for the call before it
		time.Sleep(5 * time.Minute)
		if h.Stats().Connections != 1 {
			t.Error("pings did not keep the client alive")
		}
		h.stop()
		<-c.Closed()
		var closed *signalrtest.CloseError
		if !errors.As(c.Err(), &closed) || !closed.AllowReconnect {
			t.Errorf("client ended with %v", c.Err())
		}
		if _, err := c.Invoke(context.Background(), "Void"); err != c.Err() {
			t.Errorf("Invoke after the end: %v", err)
		}
	})
}

func TestConfigReportsAllFaults(t *testing.T) {
	err := signalr.Config{KeepAliveInterval: 1, OutboxBytes: -1, ClientTimeoutInterval: -time.Second}.Validate()
	for _, want := range []string{"KeepAliveInterval", "OutboxBytes", "ClientTimeoutInterval"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not speak of %s", err, want)
		}
	}
	if _, err := signalr.New(signalr.Config{IdleGroups: -1}, nil); err == nil {
		t.Error("New takes a bad configuration")
	}
}
