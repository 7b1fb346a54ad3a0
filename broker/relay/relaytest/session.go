package relaytest

import (
	"bufio"
	"fmt"
	"slices"
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// persists has a client keep its session, and hand what comes to in.
func persists(in *brokertest.Inbox) func(*mqtt.ClientOptions) {
	return func(o *mqtt.ClientOptions) {
		o.SetCleanSession(false).SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { in.Put(messageOf(m)) })
	}
}

// connect connects a client and answers whether there was a session.
func connect(t *testing.T, c mqtt.Client) (present bool) {
	t.Helper()
	token := c.Connect().(*mqtt.ConnectToken)
	if !token.WaitTimeout(Patience) || token.Error() != nil {
		t.Fatalf("connect: %v", token.Error())
	}
	return token.SessionPresent()
}

// subscribe leaves what comes to the default handler.
func subscribe(t *testing.T, c mqtt.Client, filter string, qos byte) {
	t.Helper()
	if token := c.Subscribe(filter, qos, nil); !token.WaitTimeout(Patience) || token.Error() != nil {
		t.Fatalf("subscribe %s: %v", filter, token.Error())
	}
}

// HasClient waits until a node knows that another has the session of a client; an
// empty name: that none has.
func (n *Node) HasClient(client, node string) {
	n.t.Helper()
	n.Until(fmt.Sprintf("%q has %s", node, client), func() bool {
		holder, _ := n.Relay.Holder(client)
		return holder == node
	})
}

// A client that connects at another node takes the place of its older connection: that
// is closed with 0x8E, and its will is published, once, and before the new one is told
// that it is there.
func takeover(t *testing.T, join Join) {
	n := Hub(t, join, "a", "b")
	wills := brokertest.NewInbox()
	cancel, err := n[1].SubscribeEverywhere("will", wills.Put)
	if err != nil {
		t.Fatal(err)
	}
	defer cancel()
	n[0].Knows(n[1], "will", true)
	conn := n[0].Pipe(t)
	// CONNECT of MQTT 5: clean start, will "will" with "gone" at QoS 1, keep alive 60 s, client id "c".
	hello := "\x10\x1b\x00\x04MQTT\x05\x0e\x00\x3c\x00\x00\x01c\x00\x00\x04will\x00\x04gone"
	if _, err := conn.Write([]byte(hello)); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	if _, err := packet(in); err != nil { // CONNACK
		t.Fatal(err)
	}
	n[1].HasClient("c", "a")
	old := make(chan string, 1)
	go func() { // joined below
		p, err := packet(in)
		old <- fmt.Sprintf("%x %v", p, err)
	}()
	c := n[1].Dial(t, "c")
	if got := <-old; len(got) < 6 || got[:2] != "e0" || got[4:6] != "8e" {
		t.Errorf("the old connection is told %s, want DISCONNECT with 0x8e", got)
	}
	if m := wills.Take(t, 1)[0]; !m.Will || m.Node != "a" {
		t.Errorf("its will comes as %+v", m)
	}
	n[0].HasClient("c", "b")
	Say(t, c, "will", 1, false, "last")
	if m := wills.Take(t, 1)[0]; string(m.Payload) != "last" || wills.Len() > 0 {
		t.Errorf("the will comes once more: %+v", m)
	}
	n[0].Until("nothing of it is left", func() bool { s := n[0].Stats(); return s.Sessions == 0 && s.Connections == 0 })
}

// packet reads a short packet of MQTT.
func packet(in *bufio.Reader) ([]byte, error) {
	p := make([]byte, 2)
	for i := range p {
		b, err := in.ReadByte()
		if err != nil {
			return p[:i], err
		}
		p[i] = b
	}
	for range p[1] {
		b, err := in.ReadByte()
		if err != nil {
			return p, err
		}
		p = append(p, b)
	}
	return p, nil
}

// Of two connections of one client that come at two nodes at once one stays.
func takeoverAtOnce(t *testing.T, join Join) {
	n := Hub(t, join, "a", "b")
	for i := range 5 {
		id := fmt.Sprint("c-", i)
		done := make(chan error, 2)
		for _, x := range n {
			c := x.Client(t, id)
			go func() { // joined below
				token := c.Connect()
				token.WaitTimeout(Patience)
				done <- token.Error()
			}()
		}
		for range n {
			<-done // one may have been taken over before it was there
		}
		n[0].Until("one of them is left", func() bool {
			at, _ := n[0].Relay.Holder(id)
			other, _ := n[1].Relay.Holder(id)
			return (at == "b") != (other == "a") && n[0].Stats().Connections+n[1].Stats().Connections == i+1
		})
	}
}

// A session that is kept goes where its client goes, with its subscriptions and what
// waits for it, in order; and once more back.
func sessionMoves(t *testing.T, join Join) {
	disk := brokertest.NewStore(t)
	a := Start(t, join, "a")
	b := Start(t, join, "b", func(c *broker.Config) { c.Store = disk })
	Met(t, a, b)
	in := brokertest.NewInbox()
	c := a.Client(t, "moves", persists(in))
	if connect(t, c) {
		t.Error("there is a session at first")
	}
	subscribe(t, c, "q/#", 2)
	b.Knows(a, "q/x", true)
	c.Disconnect(0)
	a.Until("it is away", func() bool { return a.Stats().Connections == 0 })
	w := map[string]mqtt.Client{"a": a.Dial(t, "writer-a"), "b": b.Dial(t, "writer-b")}
	var want []area.Message
	say := func(at string, k int) {
		m := area.Message{Payload: fmt.Append(nil, at, "-", k), QoS: byte(1 + k%2)}
		Say(t, w[at], "q/x", m.QoS, false, string(m.Payload))
		want = append(want, m)
	}
	for k := range 20 {
		say("a", k)
	}
	n := a.Stats().Queued
	for k := range 20 {
		say("b", k)
	}
	a.Until("it has them", func() bool { return a.Stats().Queued == n+20 })
	b.HasClient("moves", "a")

	for i, x := range []*Node{b, a, b} {
		c = x.Client(t, "moves", persists(in))
		if !connect(t, c) {
			t.Fatalf("move %d: there is no session", i)
		}
		if got := byQoS(in.Take(t, len(want))); !slices.Equal(got, byQoS(want)) {
			t.Fatalf("move %d: the queue is %q, want %q", i, got, byQoS(want))
		}
		want = nil
		x.Until("all is acknowledged", func() bool { return x.Stats().Queued == 0 })
		other := a
		if x == a {
			other = b
		}
		other.HasClient("moves", x.Name)
		other.Knows(x, "q/x", true)
		other.Until("it is nothing there", func() bool { return other.Stats().Sessions == 1 }) // its writer's
		say(other.Name, 100+i)
		if got := byQoS(in.Take(t, 1)); !slices.Equal(got, byQoS(want)) {
			t.Fatalf("move %d: live comes %q, want %q", i, got, byQoS(want))
		}
		want = nil
		x.Until("all is acknowledged", func() bool { return x.Stats().Queued == 0 })
		c.Disconnect(0)
		x.Until("it is away", func() bool { return x.Stats().Connections == 1 })
		say(x.Name, 200+i)
		say(x.Name, 210+i)
	}
	if in.Len() > 0 {
		t.Errorf("more came: %q", bodies(in.Take(t, in.Len())))
	}
	again := brokertest.New(t, func(c *broker.Config) { c.Store = disk.Crashed() }) // its last messages were acknowledged: they are on disk
	if c := again.Client(t, "moves", persists(in)); !connect(t, c) {
		t.Error("the session that has moved is not on disk")
	}
	if got := byQoS(in.Take(t, len(want))); !slices.Equal(got, byQoS(want)) {
		t.Errorf("after a crash the queue is %q, want %q", got, byQoS(want))
	}
}

// byQoS are the payloads of messages, those of QoS 1 first: one of QoS 2 comes when the
// client has released it.
func byQoS(list []area.Message) []string {
	slices.SortStableFunc(list, func(x, y area.Message) int { return int(x.QoS) - int(y.QoS) })
	return bodies(list)
}

// A queue moves that is too long for one answer.
func longQueueMoves(t *testing.T, join Join) {
	n := Hub(t, join, "a", "b")
	in := brokertest.NewInbox()
	c := n[0].Client(t, "moves", persists(in))
	connect(t, c)
	subscribe(t, c, "q", 1)
	c.Disconnect(0)
	n[0].Until("it is away", func() bool { return n[0].Stats().Connections == 0 })
	w := n[0].Dial(t, "writer")
	large := make([]byte, 20_000)
	for i := range 100 { // 2 MB
		large[0] = byte(i)
		Say(t, w, "q", 1, false, string(large))
	}
	n[1].HasClient("moves", "a")
	if !connect(t, n[1].Client(t, "moves", persists(in))) {
		t.Fatal("there is no session")
	}
	for i, m := range in.Take(t, 100) {
		if len(m.Payload) != len(large) || m.Payload[0] != byte(i) {
			t.Fatalf("message %d is of %d bytes, and number %d", i, len(m.Payload), m.Payload[0])
		}
	}
}

// Who wants no session from before ends the one at the other node.
func sessionEnds(t *testing.T, join Join) {
	n := Hub(t, join, "a", "b")
	in := brokertest.NewInbox()
	c := n[0].Client(t, "ends", persists(in))
	connect(t, c)
	subscribe(t, c, "q", 1)
	n[1].Knows(n[0], "q", true)
	c.Disconnect(0)
	n[1].HasClient("ends", "a")
	c = n[1].Client(t, "ends", func(o *mqtt.ClientOptions) {
		o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { in.Put(messageOf(m)) })
	})
	if connect(t, c) {
		t.Error("there is a session")
	}
	n[1].Knows(n[0], "q", false)
	n[0].Until("nothing of it is left", func() bool { s := n[0].Stats(); return s.Sessions == 0 && s.Subscriptions == 0 })
	Say(t, n[0].Dial(t, "writer"), "q", 1, false, "for nobody")
	c.Disconnect(0)
	n[0].HasClient("ends", "")
}

// A session at a node that is gone begins anew; when that node is back, what it has of
// it ends.
func sessionGone(t *testing.T, join Join) {
	disk := brokertest.NewStore(t)
	a := Start(t, join, "a")
	b := Start(t, join, "b", func(c *broker.Config) { c.Store = disk })
	Met(t, a, b)
	in := brokertest.NewInbox()
	c := b.Client(t, "stays", persists(in))
	connect(t, c)
	subscribe(t, c, "q", 1)
	c.Disconnect(0)
	a.HasClient("stays", "b")
	b.Stop()
	a.HasClient("stays", "")
	c = a.Client(t, "stays", persists(in))
	if connect(t, c) {
		t.Error("there is a session whose node is gone")
	}
	again := Start(t, join, "b", func(c *broker.Config) { c.Store = disk.Crashed() })
	again.HasClient("stays", "a")
	again.Until("the old session has ended", func() bool { return again.Stats().Sessions == 0 })
	if err := a.Publish(t.Context(), area.Message{Topic: "q", Payload: []byte("for nobody"), QoS: 1}); err != nil {
		t.Fatal(err)
	}
	if !c.IsConnected() || in.Len() > 0 {
		t.Error("the new session was touched")
	}
}
