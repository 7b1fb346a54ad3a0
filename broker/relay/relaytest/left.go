package relaytest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/brokertest"
	"github.com/tacet-hub/tacet/broker/estate"
	"github.com/tacet-hub/tacet/broker/relay"
)

// Heir is a node whose sessions are with the other nodes too.
type Heir struct {
	*Node
	Mirror *estate.Mirror
	Disk   *brokertest.Store
}

// StartHeir starts one, with what is on a disk.
func StartHeir(t testing.TB, join Join, name string, disk *brokertest.Store, common estate.Common) *Heir {
	t.Helper()
	h := &Heir{Disk: disk}
	var err error
	if h.Mirror, err = estate.New(estate.Config{Node: name, Tables: broker.KeptSessions(), Bulk: "messages"}, fmt.Sprintf("%s-%p", name, h), disk, common); err != nil {
		t.Fatal(err)
	}
	with := func(t testing.TB, name string, r *relay.Relay) func(context.Context) error {
		run := join(t, name, r)
		return func(ctx context.Context) error {
			var tasks sync.WaitGroup
			defer tasks.Wait()
			tasks.Go(func() { _ = h.Mirror.Run(ctx) }) // it has no error
			return run(ctx)
		}
	}
	r, err := relay.New(relay.Config{Node: name, Unsure: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	h.Node = start(t, with, name, r, func(c *broker.Config) { c.Store, c.Estates = h.Mirror, h.Mirror })
	return h
}

// Copied waits until what the node keeps is with the other nodes.
func (h *Heir) Copied() {
	h.t.Helper()
	h.Until("its sessions are with the others", func() bool { s := h.Mirror.Stats(); return s.InStep && s.Owed == 0 })
}

// heirs starts nodes that know each other.
func heirs(t *testing.T, join Join, common estate.Common, names ...string) (all []*Heir) {
	t.Helper()
	var nodes []*Node
	for _, name := range names {
		h := StartHeir(t, join, name, brokertest.NewStore(t), common)
		all, nodes = append(all, h), append(nodes, h.Node)
	}
	Met(t, nodes...)
	for _, h := range all {
		h.Copied()
	}
	return all
}

// away makes a session of a client at a node and leaves it there.
func (h *Heir) away(t *testing.T, client, filter string, in *brokertest.Inbox) {
	t.Helper()
	before := h.Stats().Connections
	c := h.Client(t, client, persists(in))
	connect(t, c)
	subscribe(t, c, filter, 2)
	c.Disconnect(0)
	h.Until("it is away", func() bool { return h.Stats().Connections == before })
}

// gets connects a client, which has a session, and answers what comes.
func (h *Heir) gets(t *testing.T, client string, in *brokertest.Inbox, want ...string) mqtt.Client {
	t.Helper()
	c := h.Client(t, client, persists(in))
	if !connect(t, c) {
		t.Errorf("%s has no session of %s", h.Name, client)
	}
	if got := byQoS(in.Take(t, len(want))); !slices.Equal(got, want) {
		t.Errorf("%s gives %s %q, want %q", h.Name, client, got, want)
	}
	return c
}

// What a node has acknowledged for the session of a client is there for the client at
// another node when that one is gone, and so are its subscriptions. When the node is
// back it has no session of the client, and nothing comes twice.
func sessionLeft(t *testing.T, join Join) {
	common := new(estate.Memory)
	n := heirs(t, join, common, "a", "b")
	a, b := n[0], n[1]
	in := brokertest.NewInbox()
	b.away(t, "keeper", "q/#", in)
	w := b.Dial(t, "writer")
	for i := range 10 {
		Say(t, w, "q/x", byte(1+i%2), false, fmt.Sprint(i))
	}
	disk := b.Disk.Crashed()
	b.Stop()
	a.HasClient("keeper", "")
	a.gets(t, "keeper", in, "0", "2", "4", "6", "8", "1", "3", "5", "7", "9")
	Say(t, a.Dial(t, "writer-a"), "q/y", 2, false, "live")
	if got := bodies(in.Take(t, 1)); got[0] != "live" {
		t.Errorf("live comes %q", got)
	}
	if s := a.Stats(); s.Inherited != 1 || s.Unmoved != 0 {
		t.Errorf("inherited %d, not moved %d", s.Inherited, s.Unmoved)
	}
	again := StartHeir(t, join, "b", disk, common)
	again.Until("its session has ended", func() bool { s := again.Stats(); return s.Sessions == 0 && s.Queued == 0 })
	again.Until("nobody claims it any more", func() bool { c, err := common.Claims(t.Context(), "b"); return err == nil && len(c) == 0 })
	again.Knows(a.Node, "q/x", true)
	Say(t, again.Dial(t, "writer-b"), "q/x", 1, false, "last")
	if got := bodies(in.Take(t, 1)); got[0] != "last" {
		t.Errorf("after the node is back %q comes", got)
	}
	if s := again.Stats(); s.Forsaken != 0 {
		t.Errorf("%d sessions were not handed over", s.Forsaken)
	}
}

// Once a node is gone another takes all of its sessions over, so that what is published
// then waits for their clients, wherever they come; a session that has moved on, or that
// its client has ended, is left alone.
func sessionsAdopted(t *testing.T, join Join) {
	common := new(estate.Memory)
	n := heirs(t, join, common, "a", "b", "c")
	a, b, c := n[0], n[1], n[2]
	in := brokertest.NewInbox()
	for _, client := range []string{"waits", "moves", "ends"} {
		b.away(t, client, "q", in)
	}
	Say(t, b.Dial(t, "writer"), "q", 1, false, "first")
	c.HasClient("waits", "b")
	a.HasClient("waits", "b")
	b.Stop()
	c.HasClient("waits", "")
	c.gets(t, "moves", in, "first").Disconnect(0)
	if connect(t, c.Client(t, "ends", func(o *mqtt.ClientOptions) { o.SetCleanSession(true) })) {
		t.Error("a client that wants no session has one")
	}
	a.HasClient("moves", "c")
	adopted, _, err := a.Adopt(t.Context(), "b", func() bool { return false })
	if err != nil || adopted != 1 {
		t.Fatalf("%d sessions are taken over, %v; want 1", adopted, err)
	}
	c.HasClient("waits", "a")
	a.Until("all are somebody's", func() bool {
		again, done, err := a.Adopt(t.Context(), "b", func() bool { return false })
		if err != nil || again != 0 {
			t.Fatalf("%d sessions are taken over once more, %v", again, err)
		}
		return done
	})
	c.Knows(a.Node, "q", true)
	Say(t, c.Dial(t, "writer-c"), "q", 1, false, "meanwhile")
	a.Until("it waits for the client", func() bool { return a.Stats().Queued == 2 })
	c.gets(t, "waits", in, "first", "meanwhile")
	if s := a.Stats(); s.Inherited != 1 {
		t.Errorf("a has taken over %d", s.Inherited)
	}
}

// What a node has acknowledged while it was cut off, and so alone knows, comes to the
// client when the node is back: each message once.
func sessionRest(t *testing.T, join Join) {
	common := new(estate.Memory)
	n := heirs(t, join, common, "a", "b")
	a, b := n[0], n[1]
	in := brokertest.NewInbox()
	b.away(t, "keeper", "q", in)
	w := b.Dial(t, "writer")
	Say(t, w, "q", 1, false, "both know")
	common.Away(true)
	Say(t, w, "q", 1, false, "b alone knows")
	Say(t, w, "q", 2, false, "b alone knows that too")
	b.Until("it goes on alone", func() bool { return !b.Mirror.Stats().InStep })
	disk := b.Disk.Crashed()
	b.Stop()
	common.Away(false)
	a.HasClient("keeper", "")
	a.gets(t, "keeper", in, "both know")
	again := StartHeir(t, join, "b", disk, common)
	if got := byQoS(in.Take(t, 2)); !slices.Equal(got, []string{"b alone knows", "b alone knows that too"}) {
		t.Errorf("when the node is back %q comes", got)
	}
	again.Until("its session has ended", func() bool { s := again.Stats(); return s.Sessions == 0 && s.Queued == 0 })
	if in.Len() > 0 {
		t.Errorf("more comes: %q", bodies(in.Take(t, in.Len())))
	}
}

// A client that comes to two nodes at once, after its node is gone, is at one of them in
// the end, with what waited for it.
func sessionLeftToTwo(t *testing.T, join Join) {
	common := new(estate.Memory)
	n := heirs(t, join, common, "a", "b", "c")
	in := brokertest.NewInbox()
	n[1].away(t, "keeper", "q", in)
	Say(t, n[1].Dial(t, "writer"), "q", 1, false, "first")
	n[1].Stop()
	n[0].HasClient("keeper", "")
	n[2].HasClient("keeper", "")
	nodes := []*Heir{n[0], n[2]}
	var clients []mqtt.Client
	var tasks sync.WaitGroup
	once := func(o *mqtt.ClientOptions) { o.SetProtocolVersion(4) } // else who is refused comes again at once, as a client of 3.1
	for _, x := range nodes {
		c := x.Client(t, "keeper", persists(in), once)
		clients = append(clients, c)
		tasks.Go(func() { c.Connect().WaitTimeout(Patience) }) // one of them may be refused
	}
	tasks.Wait()
	in.Take(t, 1)
	n[0].Until("it is at one alone", func() bool {
		return clients[0].IsConnected() != clients[1].IsConnected() && n[0].Stats().Sessions+n[2].Stats().Sessions == 1
	})
	holder := nodes[0]
	if clients[1].IsConnected() {
		holder = nodes[1]
	}
	Say(t, holder.Dial(t, "writer-2"), "q", 1, false, "last")
	for got := ""; got != "last"; { // the first may come twice
		got = bodies(in.Take(t, 1))[0]
	}
}

// What others had sent to a node, and was not with the other nodes yet when it went down,
// comes to a session that is taken over: what was there already does not come again.
func sessionMissed(t *testing.T, join Join) {
	common := new(estate.Memory)
	n := heirs(t, join, common, "a", "b", "c")
	a, b, c := n[0], n[1], n[2]
	in, other := brokertest.NewInbox(), brokertest.NewInbox()
	b.away(t, "keeper", "q", in)
	b.away(t, "waits", "#", other)
	a.Knows(b.Node, "q", true)
	c.Knows(b.Node, "q", true)
	of := map[*Heir]mqtt.Client{a: a.Dial(t, "writer-a"), c: c.Dial(t, "writer-c")}
	say := func(what string, queued int64) {
		t.Helper()
		for h, w := range of {
			Say(t, w, "q", 1, false, what+h.Name)
		}
		b.Until("it has them", func() bool { return b.Stats().Queued == 2*queued })
	}
	say("kept of ", 2)
	b.Copied()
	common.Away(true)
	say("missed of ", 4)
	b.Stop()
	common.Away(false)
	a.HasClient("keeper", "")
	want := []string{"kept of a", "kept of c", "missed of a", "missed of c"}
	get := func(h *Heir, client string, in *brokertest.Inbox) {
		t.Helper()
		if !connect(t, h.Client(t, client, persists(in))) {
			t.Errorf("%s has no session of %s", h.Name, client)
		}
		got := bodies(in.Take(t, len(want)))
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s gets %q, want %q", client, got, want)
		}
	}
	get(a, "keeper", in)
	if n, _, err := c.Adopt(t.Context(), "b", func() bool { return false }); n != 1 || err != nil {
		t.Errorf("%d sessions are taken over, %v", n, err)
	}
	a.HasClient("waits", "c")
	get(a, "waits", other)
	Say(t, of[c], "q", 1, false, "last")
	for _, box := range []*brokertest.Inbox{in, other} {
		if got := bodies(box.Take(t, 1)); got[0] != "last" {
			t.Errorf("%q comes once more", got)
		}
	}
}
