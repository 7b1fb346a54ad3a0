package signalr_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
)

const push signalr.Event1[string] = "Push"

func TestTargets(t *testing.T) {
	h := newSite(t, signalr.Config{Authenticate: byToken}, nil)
	heard := map[string]chan string{}
	conns := map[string]*signalr.Conn{}
	for name, groups := range map[string]string{"ann 1": "a", "ann 2": "a b", "bob 1": "b", " 1": ""} {
		got := make(chan string, 10)
		token, _, _ := strings.Cut(name, " ")
		c := h.dial(t, signalrtest.Options{AccessToken: token, On: map[string]func([]json.RawMessage){
			"Push": func(args []json.RawMessage) { got <- string(args[0]) },
		}})
		for _, g := range strings.Fields(groups) {
			invoke(t, c, "JoinGroup", g)
		}
		invoke(t, c, "Void") // then OnConnect is over
		heard[name], conns[name] = got, h.Conn(c.ID())
	}
	conns["ann 1"].SetAttribute("gate", "12")
	conns["bob 1"].SetAttribute("gate", "13")
	conns["bob 1"].SetAttribute("gate", "12")
	conns["ann 2"].SetAttribute("gate", "12")
	conns["ann 2"].SetAttribute("gate", "")
	id := func(name string) string { return conns[name].ID() }
	for _, tc := range []struct {
		name string
		to   signalr.Target
		want string
	}{
		{"all", h.All(), " 1,ann 1,ann 2,bob 1"},
		{"all but some", h.AllExcept(id("ann 1"), id(" 1")), "ann 2,bob 1"},
		{"client", h.Client(id("ann 1")), "ann 1"},
		{"client that is excepted", h.Client(id("ann 1")).Except(id("ann 1")), ""},
		{"no client", h.Client(""), ""},
		{"clients", h.Clients(id("ann 1"), id("bob 1"), id("bob 1"), "nobody"), "ann 1,bob 1"},
		{"group", h.Group("a"), "ann 1,ann 2"},
		{"group but one", h.GroupExcept("a", id("ann 1")), "ann 2"},
		{"groups", h.Groups("a", "b", "c"), "ann 1,ann 2,bob 1"},
		{"groups but one", h.Groups("a", "b").Except(id("ann 2")), "ann 1,bob 1"},
		{"user", h.User("ann"), "ann 1,ann 2"},
		{"user but one device", h.User("ann").Except(id("ann 2")), "ann 1"},
		{"nobody is no user", h.User(""), ""},
		{"users", h.Users("ann", "bob", "eve"), "ann 1,ann 2,bob 1"},
		{"attribute", h.Attribute("gate", "12"), "ann 1,bob 1"},
		{"attribute that nobody has any more", h.Attribute("gate", "13"), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := strings.Split(tc.want, ",")
			if tc.want == "" {
				want = nil
			}
			if n := push.Send(tc.to, tc.name); n != len(want) {
				t.Errorf("sent to %d, want %d", n, len(want))
			}
			var listed []string
			for _, c := range tc.to.Conns() {
				for name := range conns {
					if conns[name] == c {
						listed = append(listed, name)
					}
				}
			}
			if slices.Sort(listed); !slices.Equal(listed, want) {
				t.Errorf("listed %q, want %q", listed, want)
			}
			for _, name := range want {
				if got := <-heard[name]; got != `"`+tc.name+`"` {
					t.Errorf("%s heard %s", name, got)
				}
			}
		})
	}
	for name, got := range heard {
		if len(got) > 0 {
			t.Errorf("%s heard %s, too", name, <-got)
		}
	}
	if a, _ := h.Position("a"); a.Offset != 4 {
		t.Errorf("group a counted %d events, want 4", a.Offset)
	}
}

func TestTagsEndWithTheConnection(t *testing.T) {
	ended := make(chan *signalr.Conn, 1)
	h := newSite(t, signalr.Config{Authenticate: byToken}, func(s *signalr.Server) {
		s.OnDisconnect(func(c *signalr.Conn, _ error) { ended <- c })
	})
	c := h.dial(t, signalrtest.Options{AccessToken: "ann"})
	invoke(t, c, "Void")
	h.Conn(c.ID()).SetAttribute("gate", "12")
	_ = c.Close()
	conn := <-ended
	conn.SetAttribute("gate", "13")
	if got := conn.Attributes(); len(got) != 1 || conn.Attribute("gate") != "12" {
		t.Errorf("attributes at the end: %v", got)
	}
	for name, to := range map[string]signalr.Target{"user": h.User("ann"), "12": h.Attribute("gate", "12"), "13": h.Attribute("gate", "13")} {
		if n := len(to.Conns()); n != 0 {
			t.Errorf("%s still finds %d connections", name, n)
		}
	}
}

func TestHubContext(t *testing.T) {
	h := newSite(t, signalr.Config{}, nil)
	got := make(chan string, 1)
	c := h.dial(t, signalrtest.Options{On: map[string]func([]json.RawMessage){"Push": func(args []json.RawMessage) { got <- string(args[0]) }}})
	invoke(t, c, "Void")
	var hub signalr.HubContext = h.Server
	if err := hub.AddToGroup(t.Context(), c.ID(), "g"); err != nil {
		t.Fatal(err)
	}
	push.Send(hub.Group("g"), "x")
	if text := <-got; text != `"x"` {
		t.Errorf("heard %s", text)
	}
	if err := hub.RemoveFromGroup(t.Context(), c.ID(), "g"); err != nil {
		t.Fatal(err)
	}
	if n := len(hub.Members("g")); n != 0 {
		t.Errorf("%d members left", n)
	}
	if err := hub.AddToGroup(t.Context(), "nobody", "g"); !errors.Is(err, signalr.ErrClosed) {
		t.Errorf("unknown connection: %v", err)
	}
}

// Await: it is heard at once, but what nobody wants never is.
func (n in) Await(_ context.Context, topic string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.wants[n.self][topic] == 0 {
		n.t.Errorf("%s waits for topic %q, which nobody there wants", n.self, topic)
	}
}
