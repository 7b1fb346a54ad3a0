package presence_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/presence"
	"github.com/tacet-hub/tacet/bridge/redis"
	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
)

const (
	patience = time.Minute
	hubURL   = "http://hub.test/hub"
	kind     = backplane.KindUser + 49
)

// node is a hub process as far as its clients are concerned.
type node struct {
	*signalr.Server
	*presence.Directory
	pipe *signalrtest.Pipe
}

// open runs a node on a plane until the test ends. A user may have three connections;
// a node counts them at another that is held up, but not for more than three beats.
func open(t *testing.T, p backplane.Plane) *node {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	mux := backplane.NewMux(p)
	cluster := backplane.NewCluster(mux)
	n := &node{}
	n.Directory = presence.New(presence.Config{Kind: kind, Beat: 5 * time.Second, Log: log}, mux, func(id string) (presence.Conn, bool) {
		c := n.Conn(id)
		if c == nil {
			return presence.Conn{}, false
		}
		return presence.Conn{ID: id, User: c.User(), Groups: c.Groups(), Attributes: c.Attributes()}, true
	})
	var err error
	n.Server, err = signalr.New(signalr.Config{
		Cluster: cluster, Elsewhere: n.Elsewhere, MaximumConnectionsPerUser: 3,
		Authenticate: func(r *http.Request) (signalr.Principal, error) {
			return signalr.Principal{Name: strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")}, nil
		},
	}, log)
	if err != nil {
		t.Fatal(err)
	}
	n.Handle("Join", func(_ context.Context, c *signalr.Call) (any, error) {
		var g string
		if err := c.Bind(&g); err != nil {
			return nil, err
		}
		_, err := c.Conn().Join(g)
		return nil, err
	})
	n.OnChange(n.Changed)
	cluster.Serve(n.Server)
	ctx, end := context.WithCancel(context.Background())
	var tasks sync.WaitGroup
	for _, run := range []func(context.Context) error{mux.Run, n.Directory.Run, n.Server.Run} {
		tasks.Go(func() { _ = run(ctx) })
	}
	n.pipe = signalrtest.NewPipe(n.Server)
	t.Cleanup(func() { end(); tasks.Wait(); _ = n.pipe.Close() })
	return n
}

// client is a connection, and what it has heard.
type client struct {
	*signalrtest.Client
	heard chan string
}

func (n *node) dial(t *testing.T, user string, groups ...string) *client {
	t.Helper()
	c := &client{heard: make(chan string, 1000)}
	var err error
	c.Client, err = n.try(t, user)
	if err != nil {
		t.Fatal(err)
	}
	c.On("Push", func(args []json.RawMessage) { c.heard <- string(args[0]) })
	c.Answer("Ask", func([]json.RawMessage) (any, error) { return user, nil })
	for _, g := range groups {
		if _, err := c.Invoke(t.Context(), "Join", g); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (n *node) try(t *testing.T, user string) (*signalrtest.Client, error) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	c, err := signalrtest.Dial(ctx, hubURL, signalrtest.Options{AccessToken: user, NetDial: n.pipe.Dial})
	if err == nil {
		t.Cleanup(func() { _ = c.Close() })
	}
	return c, err
}

// until waits for something that comes.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// reaches sends by one node until the named clients have heard it, and those alone.
func reaches(t *testing.T, all map[string]*client, to func() signalr.Target, want ...string) {
	t.Helper()
	serial++
	text := fmt.Sprintf(`"%d"`, serial)
	got := map[string]bool{}
	until(t, fmt.Sprintf("heard by %v", want), func() bool {
		to().Send("Push", fmt.Sprint(serial))
		for name, c := range all {
			for len(c.heard) > 0 {
				got[name] = <-c.heard == text || got[name]
			}
		}
		return !slices.ContainsFunc(want, func(name string) bool { return !got[name] })
	})
	for name, heard := range got {
		if heard && !slices.Contains(want, name) {
			t.Errorf("%s has heard it, too", name)
		}
	}
}

var serial int

func ids(list []presence.Conn) (out []string) {
	for _, c := range list {
		out = append(out, c.ID)
	}
	return out
}

// TestEveryTarget: each row of what reaches the connections of a hub of two nodes, by
// name, over both planes.
func TestEveryTarget(t *testing.T) {
	for name, planes := range map[string]func(*testing.T) (a, b backplane.Plane){"memory": memory, "redis": overRedis} {
		t.Run(name, func(t *testing.T) { everyTarget(t, planes) })
	}
}

func everyTarget(t *testing.T, planes func(*testing.T) (a, b backplane.Plane)) {
	pa, pb := planes(t)
	a, b := open(t, pa), open(t, pb)
	all := map[string]*client{"ann a": a.dial(t, "ann", "north"), "ann b": b.dial(t, "ann", "north", "south"), "bob b": b.dial(t, "bob", "south")}
	id := func(name string) string { return all[name].ID() }
	a.Conn(id("ann a")).SetAttribute("gate", "12")
	b.Conn(id("bob b")).SetAttribute("gate", "12")
	sends := func(to func() signalr.Target, want ...string) func(*testing.T) {
		return func(t *testing.T) { reaches(t, all, to, want...) }
	}
	sorted := func(names ...string) (list []string) {
		for _, name := range names {
			list = append(list, id(name))
		}
		slices.Sort(list)
		return list
	}
	lists := func(got func(*node) []presence.Conn, want ...string) func(*testing.T) {
		return func(t *testing.T) {
			for _, n := range []*node{a, b} {
				until(t, "listed", func() bool { return slices.Equal(ids(got(n)), sorted(want...)) })
			}
		}
	}
	for _, row := range []struct {
		name string
		test func(*testing.T)
	}{
		{"all", sends(func() signalr.Target { return a.Server.All() }, "ann a", "ann b", "bob b")},
		{"group", sends(func() signalr.Target { return a.Group("south") }, "ann b", "bob b")},
		{"groups", sends(func() signalr.Target { return a.Groups("north", "south") }, "ann a", "ann b", "bob b")},
		{"user", sends(func() signalr.Target { return a.User("ann") }, "ann a", "ann b")},
		{"users", sends(func() signalr.Target { return a.Users("ann", "bob") }, "ann a", "ann b", "bob b")},
		{"attribute", sends(func() signalr.Target { return a.Attribute("gate", "12") }, "ann a", "bob b")},
		{"connection of another node", sends(func() signalr.Target { return a.Client(id("bob b")) }, "bob b")},
		{"group but one connection", sends(func() signalr.Target { return a.GroupExcept("south", id("bob b")) }, "ann b")},
		{"a remote connection is added to a group", func(t *testing.T) {
			if err := a.AddToGroup(t.Context(), id("bob b"), "more"); err != nil {
				t.Fatal(err)
			}
			reaches(t, all, func() signalr.Target { return a.Group("more") }, "bob b")
		}},
		{"a remote connection is removed from a group", func(t *testing.T) {
			if err := a.RemoveFromGroup(t.Context(), id("bob b"), "more"); err != nil {
				t.Fatal(err)
			}
			until(t, "it is no member", func() bool { return len(a.ConnectionsOfGroup("more")) == 0 })
		}},
		{"InvokeOne", func(t *testing.T) {
			if who, got, err := a.Client(id("bob b")).InvokeOne(t.Context(), "Ask"); err != nil || string(got) != `"bob"` || who != id("bob b") {
				t.Errorf("got %s of %s, %v", got, who, err)
			}
		}},
		{"InvokeAll", func(t *testing.T) {
			got := map[string]string{}
			for _, x := range a.Server.All().InvokeAll(t.Context(), "Ask") {
				got[x.ID] = string(x.Result)
			}
			if want := map[string]string{id("ann a"): `"ann"`, id("ann b"): `"ann"`, id("bob b"): `"bob"`}; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got %v, want %v", got, want)
			}
		}},
		{"InvokeOne and InvokeAll end in time", func(t *testing.T) {
			all["bob b"].Answer("Never", func([]json.RawMessage) (any, error) { <-t.Context().Done(); return nil, nil })
			ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer stop()
			if _, _, err := a.Client(id("bob b")).InvokeOne(ctx, "Never"); err == nil {
				t.Error("an answer")
			}
			list := a.Client(id("bob b")).InvokeAll(ctx, "Never")
			if len(list) != 1 || list[0].Err == nil {
				t.Errorf("got %+v", list)
			}
		}},
		{"members of a group", lists(func(n *node) []presence.Conn { return n.ConnectionsOfGroup("south") }, "ann b", "bob b")},
		{"connections of a user", lists(func(n *node) []presence.Conn { return n.ConnectionsOfUser("ann") }, "ann a", "ann b")},
		{"connections by attribute", lists(func(n *node) []presence.Conn { return n.ConnectionsWith("gate", "12") }, "ann a", "bob b")},
		{"all connections", lists(func(n *node) []presence.Conn {
			return n.Directory.All(func(presence.Conn) bool { return true })
		}, "ann a", "ann b", "bob b")},
		{"IsUserOnline", func(t *testing.T) {
			if !a.IsUserOnline("bob") || !b.IsUserOnline("ann") || a.IsUserOnline("eve") {
				t.Error("who is online is wrong")
			}
		}},
		{"limit of a user's connections", func(t *testing.T) {
			third, err := a.try(t, "ann")
			if err != nil {
				t.Fatal(err)
			}
			until(t, "b knows it", func() bool { return b.Elsewhere("ann") == 2 })
			for name, n := range map[string]*node{"a": a, "b": b} {
				if _, err := n.try(t, "ann"); err == nil || !strings.Contains(err.Error(), "429") {
					t.Errorf("a fourth one at %s: %v", name, err)
				}
			}
			_ = third.Close()
			until(t, "b knows that it is gone", func() bool { return b.Elsewhere("ann") == 1 })
			if _, err := b.try(t, "ann"); err != nil {
				t.Errorf("in its place: %v", err)
			}
		}},
		{"a remote connection is ended", func(t *testing.T) {
			if err := a.CloseConn(t.Context(), id("bob b"), "enough"); err != nil {
				t.Fatal(err)
			}
			<-all["bob b"].Closed()
			until(t, "it is gone everywhere", func() bool { return !a.IsUserOnline("bob") && !b.IsUserOnline("bob") })
			if err := a.AddToGroup(t.Context(), id("bob b"), "g"); !errors.Is(err, signalr.ErrClosed) {
				t.Errorf("added to a group: %v", err)
			}
		}},
	} {
		t.Run(row.name, row.test)
	}
}

func memory(*testing.T) (a, b backplane.Plane) {
	x := new(backplane.Exchange)
	return x.Join("a", ""), x.Join("b", "")
}

// overRedis joins two nodes over a redis-server of the test's own.
func overRedis(t *testing.T) (a, b backplane.Plane) {
	t.Helper()
	dir, err := os.MkdirTemp("", "tacet-redis-") // a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	cmd := exec.Command("redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("redis-server: %v", err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait(); _ = os.RemoveAll(dir) })
	until(t, "redis-server listens", func() bool {
		c, err := net.Dial("unix", socket)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	join := func(name string) backplane.Plane {
		s, err := redis.NewServer(redis.Config{URL: "unix://" + socket, Node: name, Heartbeat: 200 * time.Millisecond, NodeTimeout: patience})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return redis.NewPlane(s)
	}
	return join("a"), join("b")
}
