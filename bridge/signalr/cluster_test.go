package signalr_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
)

// town joins the servers of one test: what a cluster has to do, in one process.
type town struct {
	mu      sync.Mutex
	servers map[string]*signalr.Server
	wants   map[string]map[string]int // by node and topic
	letters int                       // delivered
	t       *testing.T
	away    bool
}

// in is the town as one node sees it.
type in struct {
	*town
	self string
}

func (n in) Self() string { return n.self }

func (n in) Want(topic string, on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.wants[n.self] == nil {
		n.wants[n.self] = map[string]int{}
	}
	if on {
		n.wants[n.self][topic]++
	} else if n.wants[n.self][topic]--; n.wants[n.self][topic] == 0 {
		delete(n.wants[n.self], topic)
	}
}

func (n in) Publish(topic string, l signalr.Letter) error {
	return n.deliver(l, func(node string) bool { return n.wants[node][topic] > 0 })
}

func (n in) Send(to string, l signalr.Letter) error {
	return n.deliver(l, func(node string) bool { return node == to })
}

func (n in) deliver(l signalr.Letter, wanted func(string) bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.away {
		return errors.New("away")
	}
	l.Body = bytes.Clone(l.Body)
	for node, s := range n.servers {
		if node != n.self && wanted(node) {
			n.letters++
			s.Hear(l)
		}
	}
	return nil
}

func (n in) Ask(ctx context.Context, nodes []string, q []byte, reply func(string, []byte, error) bool) {
	n.mu.Lock()
	servers := map[string]*signalr.Server{}
	for node, s := range n.servers {
		if node != n.self && (nodes == nil || slices.Contains(nodes, node)) {
			servers[node] = s
		}
	}
	n.mu.Unlock()
	for node, s := range servers {
		b, err := s.Answer(ctx, bytes.Clone(q))
		if !reply(node, b, err) {
			return
		}
	}
}

// newTown makes two servers of one hub.
func newTown(t *testing.T, more func(*signalr.Server)) (tw *town, a, b *site) {
	t.Helper()
	tw = &town{t: t, servers: map[string]*signalr.Server{}, wants: map[string]map[string]int{}}
	build := func(name string) *site {
		h := newSite(t, signalr.Config{Authenticate: byToken, Cluster: in{tw, name}}, more)
		tw.mu.Lock()
		tw.servers[name] = h.Server
		tw.mu.Unlock()
		return h
	}
	return tw, build("a"), build("b")
}

// dweller is a client and what it has heard.
type dweller struct {
	*signalrtest.Client
	heard chan string
}

func dwell(t *testing.T, h *site, token string, codec protocol.Codec, groups ...string) *dweller {
	t.Helper()
	d := &dweller{heard: make(chan string, 10_000)}
	d.Client = h.dial(t, signalrtest.Options{AccessToken: token, Protocol: codec, On: map[string]func([]json.RawMessage){
		"Push": func(args []json.RawMessage) { d.heard <- string(args[0]) },
	}})
	for _, g := range groups {
		invoke(t, d.Client, "JoinGroup", g)
	}
	invoke(t, d.Client, "Void")
	return d
}

func (d *dweller) next(t *testing.T) string {
	t.Helper()
	select {
	case s := <-d.heard:
		return s
	case <-time.After(time.Minute):
		t.Fatal("nothing heard")
		return ""
	}
}

func TestClusterTargets(t *testing.T) {
	for name, codec := range map[string]protocol.Codec{"json": protocol.JSON, "messagepack": protocol.MessagePack} {
		t.Run(name, func(t *testing.T) { clusterTargets(t, codec) })
	}
}

func clusterTargets(t *testing.T, codec protocol.Codec) {
	_, a, b := newTown(t, nil)
	who := map[string]*dweller{
		"ann a": dwell(t, a, "ann", protocol.JSON, "north"), "ann b": dwell(t, b, "ann", codec, "north", "south"),
		"bob b": dwell(t, b, "bob", codec, "south"), "none b": dwell(t, b, "", protocol.MessagePack),
	}
	b.Conn(who["bob b"].ID()).SetAttribute("gate", "12")
	a.Conn(who["ann a"].ID()).SetAttribute("gate", "12")
	id := func(name string) string { return who[name].ID() }
	for i, tc := range []struct {
		name string
		to   signalr.Target
		want string
	}{
		{"all", a.All(), "ann a,ann b,bob b,none b"},
		{"all but some", a.AllExcept(id("ann b"), id("ann a")), "bob b,none b"},
		{"client of another node", a.Client(id("bob b")), "bob b"},
		{"that client is excepted", a.Client(id("bob b")).Except(id("bob b")), ""},
		{"client of ours", a.Client(id("ann a")), "ann a"},
		{"clients", a.Clients(id("ann a"), id("none b")), "ann a,none b"},
		{"group", a.Group("north"), "ann a,ann b"},
		{"group that has nobody here", a.Group("south"), "ann b,bob b"},
		{"group but one", a.GroupExcept("south", id("bob b")), "ann b"},
		{"groups", a.Groups("north", "south"), "ann a,ann b,bob b"},
		{"user", a.User("ann"), "ann a,ann b"},
		{"user that is elsewhere", a.User("bob"), "bob b"},
		{"users", a.Users("ann", "bob"), "ann a,ann b,bob b"},
		{"attribute", a.Attribute("gate", "12"), "ann a,bob b"},
		{"nobody", a.User(""), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.to.Send("Push", fmt.Sprintf("æ %d", i))
			a.All().Send("Push", "end")
			// Each target has a worker of its own at the other node: the end is waited
			// for, and then what is late among those that are to hear it.
			var got []string
			for name, d := range who {
				want := slices.Contains(strings.Split(tc.want, ","), name)
				for ended, heard := false, false; !ended || want && !heard; {
					switch s := d.next(t); s {
					case `"end"`:
						ended = true
					case fmt.Sprintf(`"æ %d"`, i):
						heard = true
						got = append(got, name)
					default:
						t.Errorf("%s heard %s", name, s)
					}
				}
			}
			slices.Sort(got)
			if strings.Join(got, ",") != tc.want {
				t.Errorf("heard by %v, want %s", got, tc.want)
			}
		})
	}
}

// TestClusterOrder: who sends to a group is heard in order, once, on every node.
func TestClusterOrder(t *testing.T) {
	const n = 2000
	tw, a, b := newTown(t, nil)
	da, db := dwell(t, a, "ann", nil, "north"), dwell(t, b, "bob", protocol.MessagePack, "north")
	go func() {
		for i := range n {
			a.Group("north").Send("Push", i)
		}
	}()
	for i := range n {
		for _, d := range []*dweller{da, db} {
			if got := d.next(t); got != fmt.Sprint(i) {
				t.Fatalf("event %d is %s", i, got)
			}
		}
	}
	tw.mu.Lock()
	defer tw.mu.Unlock()
	if tw.letters != n {
		t.Errorf("%d letters for %d events", tw.letters, n)
	}
}

// TestClusterWants: only nodes that have somebody there get a letter.
func TestClusterWants(t *testing.T) {
	tw, a, b := newTown(t, nil)
	d := dwell(t, b, "bob", nil, "north")
	wants := func() string {
		tw.mu.Lock()
		defer tw.mu.Unlock()
		var list []string
		for topic, n := range tw.wants["b"] {
			list = append(list, fmt.Sprintf("%q %d", topic, n))
		}
		slices.Sort(list)
		return strings.Join(list, ", ")
	}
	if got := wants(); got != `"" 1, "gnorth" 1, "ubob" 1` {
		t.Errorf("wanted: %s", got)
	}
	a.Group("south").Send("Push", 1)
	a.User("eve").Send("Push", 1)
	tw.mu.Lock()
	if tw.letters != 0 {
		t.Errorf("%d letters that nobody wants", tw.letters)
	}
	tw.mu.Unlock()
	b.Conn(d.ID()).Leave("north")
	if got := wants(); got != `"" 1, "ubob" 1` {
		t.Errorf("after leaving: %s", got)
	}
	conn := b.Conn(d.ID())
	_ = d.Close()
	<-conn.Context().Done()
	b.stop()
	if got := wants(); got != "" {
		t.Errorf("in the end: %s", got)
	}
}

// TestClusterAway: what other nodes cannot be handed is counted, and ours hear it.
func TestClusterAway(t *testing.T) {
	tw, a, b := newTown(t, nil)
	da := dwell(t, a, "ann", nil)
	dwell(t, b, "bob", nil)
	tw.mu.Lock()
	tw.away = true
	tw.mu.Unlock()
	if n := a.All().Send("Push", 1); n != 1 {
		t.Errorf("queued for %d", n)
	}
	if got := da.next(t); got != "1" {
		t.Errorf("heard %s", got)
	}
	if s := a.Stats(); s.Unspread != 1 {
		t.Errorf("stats %+v", s)
	}
}

func TestClusterHearsNonsense(t *testing.T) {
	_, a, _ := newTown(t, nil)
	d := dwell(t, a, "ann", nil, "north")
	letters := []signalr.Letter{{}, {Kind: 99}, {Kind: 1}, {Kind: 2, Target: "north", Body: []byte{7}}, {Kind: 2, Target: "north", Body: []byte("\x00{}\x1e")},
		{Kind: 2, Target: "north", Body: []byte("\x00{\"type\":6}\x1e")}, {Kind: 5, Body: []byte("x")}, {Kind: 5, Body: []byte("{}\n\x01\xff")}}
	for _, l := range letters {
		a.Hear(l)
	}
	a.Hear(signalr.Letter{Kind: 2, Target: "north", Body: []byte("\x00{\"type\":1,\"target\":\"Push\",\"arguments\":[1]}\x1e")})
	if got := d.next(t); got != "1" {
		t.Errorf("heard %s", got)
	}
	for _, q := range []string{"", "x", "{}\n", "{}\n\x01\xff", `{"kind":1}` + "\n\x00{}\x1e"} {
		if _, err := a.Answer(t.Context(), []byte(q)); err == nil {
			t.Errorf("question %q is answered", q)
		}
	}
}

// TestClusterGroupsOfOthers: a connection of another node is added to a group, taken out
// and ended.
func TestClusterGroupsOfOthers(t *testing.T) {
	_, a, b := newTown(t, func(s *signalr.Server) { s.RequireForGroups("staff", signalr.RequireRole("staff")) })
	d := dwell(t, b, "bob", nil)
	for range 2 {
		if err := a.AddToGroup(t.Context(), d.ID(), "g"); err != nil {
			t.Fatal(err)
		}
	}
	a.Group("g").Send("Push", 1)
	if got := d.next(t); got != "1" {
		t.Errorf("heard %s", got)
	}
	if err := a.RemoveFromGroup(t.Context(), d.ID(), "g"); err != nil {
		t.Fatal(err)
	}
	if got := b.Conn(d.ID()).Groups(); len(got) != 0 {
		t.Errorf("still in %v", got)
	}
	if err := a.AddToGroup(t.Context(), d.ID(), "staff/1"); !errors.Is(err, signalr.ErrForbidden) {
		t.Errorf("into a group that it may not join: %v", err)
	}
	for _, id := range []string{"nobody", "nobody.a", "nobody.b", "nobody.c"} {
		if err := a.AddToGroup(t.Context(), id, "g"); !errors.Is(err, signalr.ErrClosed) {
			t.Errorf("%s: %v", id, err)
		}
	}
	if err := a.CloseConn(t.Context(), d.ID(), "enough"); err != nil {
		t.Fatal(err)
	}
	<-d.Closed()
}

// TestClusterUserLimit: connections at other nodes count for the limit of a user, also
// for one that negotiated before.
func TestClusterUserLimit(t *testing.T) {
	elsewhere := 1
	var mu sync.Mutex
	h := newSite(t, signalr.Config{Authenticate: byToken, MaximumConnectionsPerUser: 2, Elsewhere: func(user string) int {
		mu.Lock()
		defer mu.Unlock()
		if user != "ann" {
			return 0
		}
		return elsewhere
	}}, nil)
	dial := func(token string) error {
		c, err := signalrtest.Dial(t.Context(), hubURL, signalrtest.Options{AccessToken: token, NetDial: h.pipe.Dial})
		if err == nil {
			t.Cleanup(func() { _ = c.Close() })
		}
		return err
	}
	if err := dial("ann"); err != nil {
		t.Fatal(err)
	}
	if err := dial("ann"); err == nil || !strings.Contains(err.Error(), "429") {
		t.Errorf("one too many: %v", err)
	}
	if err := dial("bob"); err != nil {
		t.Errorf("somebody else: %v", err)
	}
}

func TestClusterInvoke(t *testing.T) {
	_, a, b := newTown(t, nil)
	var clients []*dweller
	for i, h := range []*site{a, b, b} {
		d := dwell(t, h, "ann", []protocol.Codec{protocol.JSON, protocol.MessagePack, protocol.JSON}[i], "g")
		d.Answer("Double", func(args []json.RawMessage) (any, error) {
			if i < 2 {
				return nil, fmt.Errorf("busy %d", i)
			}
			return 8, nil
		})
		clients = append(clients, d)
	}
	who, n, err := double.AskOne(t.Context(), a.Group("g"), 4)
	if err != nil || n != 8 || who != clients[2].ID() {
		t.Errorf("first good answer: %q %d %v", who, n, err)
	}
	answers := map[string]string{}
	for _, x := range double.AskAll(t.Context(), a.Group("g"), 4) {
		answers[x.ID] = fmt.Sprint(x.Result, x.Err != nil, x.Conn != nil)
	}
	want := map[string]string{clients[0].ID(): "0 true true", clients[1].ID(): "0 true false", clients[2].ID(): "8 false false"}
	if fmt.Sprint(answers) != fmt.Sprint(want) {
		t.Errorf("all answers: %v, want %v", answers, want)
	}
	if _, raw, err := a.Client(clients[2].ID()).InvokeOne(t.Context(), "Double", 4); err != nil || string(raw) != "8" {
		t.Errorf("a connection of another node: %s, %v", raw, err)
	}
	if _, _, err := double.AskOne(t.Context(), a.Group("g").Except(clients[2].ID()), 4); err == nil || !strings.Contains(err.Error(), "busy 1") {
		t.Errorf("no good answer: %v", err)
	}
	if _, _, err := double.AskOne(t.Context(), a.Group("nobody"), 4); !errors.Is(err, signalr.ErrNobody) {
		t.Errorf("nobody: %v", err)
	}
}
