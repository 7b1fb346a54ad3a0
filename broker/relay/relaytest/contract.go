package relaytest

import (
	"fmt"
	"slices"
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// Run runs the contract. newHub makes a hub without nodes, for each case.
func Run(t *testing.T, newHub func(t *testing.T) Join) {
	for name, f := range map[string]func(*testing.T, Join){
		"publishes": publishes, "only where somebody subscribes": onlyWhereWanted, "once": once, "order": order, "what is the hub's": whatIsTheHubs,
		"bridges": bridges, "wills": wills, "shared subscriptions": shared, "shared, who goes": sharedGoes, "comes later": comesLater,
		"takeover": takeover, "takeover at once": takeoverAtOnce, "a session moves": sessionMoves, "a long queue moves": longQueueMoves, "a session ends": sessionEnds, "a session at a node that is gone": sessionGone,
		"a session that is left": sessionLeft, "sessions that are left, all": sessionsAdopted, "a session that is left, the rest": sessionRest, "a session that is left to two": sessionLeftToTwo, "a session that is left, what was on its way": sessionMissed,
		"retained": retained, "retained, the newest": retainedNewest, "retained, a node comes back": retainedComesBack, "notes": notes, "awaited": awaited,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they mostly wait
			f(t, newHub(t))
		})
	}
}

// A message of any QoS comes to the subscribers of the other node as it was sent.
func publishes(t *testing.T, join Join) {
	n := Hub(t, join, "a", "b")
	in := brokertest.Subscribe(t, n[1].Dial(t, "reader"), "site/+", 2)
	n[0].Knows(n[1], "site/x", true)
	writer := n[0].Dial(t, "writer")
	for qos := range byte(3) {
		Say(t, writer, "site/x", qos, false, fmt.Sprint("m-", qos))
		got := in.Take(t, 1)[0]
		if string(got.Payload) != fmt.Sprint("m-", qos) || got.QoS != qos || got.Topic != "site/x" || got.Retain {
			t.Errorf("QoS %d came as %+v", qos, got)
		}
	}
	everywhere, here := brokertest.NewInbox(), brokertest.NewInbox()
	for filter, subscribe := range map[string]func(string, func(area.Message)) (func(), error){"hub/#": n[1].SubscribeEverywhere, "hub/+": n[1].Subscribe} {
		put := here.Put
		if filter == "hub/#" {
			put = everywhere.Put
		}
		cancel, err := subscribe(filter, put)
		if err != nil {
			t.Fatal(err)
		}
		defer cancel()
	}
	n[0].Knows(n[1], "hub/x", true)
	Say(t, writer, "hub/x", 0, false, "of a")
	if m := everywhere.Take(t, 1)[0]; m.Node != "a" || m.From != "writer" || m.Conn != 0 {
		t.Errorf("the hub's part at b hears %+v", m)
	}
	Say(t, n[1].Dial(t, "writer-b"), "hub/x", 0, false, "of b")
	if m := here.Take(t, 1)[0]; string(m.Payload) != "of b" || m.Node != "" {
		t.Errorf("who asks for what is here hears %+v", m)
	}
}

// A node where nobody subscribes does not get a message, before and after somebody did.
func onlyWhereWanted(t *testing.T, join Join) {
	n := Hub(t, join, "a", "b", "c")
	writer, reader := n[0].Dial(t, "writer"), n[1].Dial(t, "reader")
	in := brokertest.Subscribe(t, reader, "x/#", 1)
	n[0].Knows(n[1], "x/1", true)
	for i := range 100 {
		Say(t, writer, fmt.Sprint("x/", i), 1, false, "for b")
		Say(t, writer, fmt.Sprint("y/", i), 1, false, "for nobody")
	}
	in.Take(t, 100)
	if sent, got := n[0].Relay.Stats().Sent, n[2].Relay.Stats().Received; sent != 100 || got != 0 {
		t.Errorf("a sent %d and c got %d, want 100 and 0", sent, got)
	}
	if token := reader.Unsubscribe("x/#"); !token.WaitTimeout(Patience) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	n[0].Knows(n[1], "x/1", false)
	Say(t, writer, "x/1", 1, false, "for nobody")
	if sent := n[0].Relay.Stats().Sent; sent != 100 {
		t.Errorf("a sent %d, want 100", sent)
	}
}

// With subscribers everywhere each gets a message once: none goes round.
func once(t *testing.T, join Join) {
	n := Hub(t, join, "a", "b", "c")
	var in []*brokertest.Inbox
	for i, x := range n {
		in = append(in, brokertest.Subscribe(t, x.Dial(t, fmt.Sprint("reader-", i)), "#", 1))
	}
	for _, x := range n {
		for _, y := range n {
			if x != y {
				x.Knows(y, "t", true)
			}
		}
	}
	for i, x := range n {
		w := x.Dial(t, fmt.Sprint("writer-", i))
		for k := range 20 {
			Say(t, w, "t", byte(k%3), false, fmt.Sprint(i, "-", k))
		}
	}
	for i, box := range in {
		got := bodies(box.Take(t, 60))
		slices.Sort(got)
		if len(slices.Compact(got)) != 60 || box.Len() > 0 {
			t.Errorf("reader %d got %q and %d more", i, got, box.Len())
		}
	}
	for _, x := range n {
		x.Until("40 messages were sent and 40 received", func() bool { s := x.Relay.Stats(); return s.Sent == 40 && s.Received == 40 })
	}
}

// What one client publishes comes in its order.
func order(t *testing.T, join Join) {
	n := Hub(t, join, "a", "b")
	in := brokertest.Subscribe(t, n[1].Dial(t, "reader"), "o", 1)
	n[0].Knows(n[1], "o", true)
	w := n[0].Dial(t, "writer")
	var last mqtt.Token
	for i := range 1000 {
		last = w.Publish("o", 1, false, fmt.Sprint(i))
	}
	if !last.WaitTimeout(Patience) || last.Error() != nil {
		t.Fatal(last.Error())
	}
	for i, b := range bodies(in.Take(t, 1000)) {
		if b != fmt.Sprint(i) {
			t.Fatalf("message %d is %q", i, b)
		}
	}
}

// The topics by which areas are arbitrated are each node's own, and so is what another
// node's arbiter says.
func whatIsTheHubs(t *testing.T, join Join) {
	n := Hub(t, join, "a", "b")
	in := brokertest.Subscribe(t, n[1].Dial(t, "reader"), "#", 1)
	n[0].Knows(n[1], "x", true)
	for _, m := range []area.Message{
		{Topic: area.BusyTopic("north"), Payload: []byte("{}"), Retain: true, From: area.FromArbiter},
		{Topic: area.GrantTopic("gate-1"), Payload: []byte("{}"), From: area.FromArbiter},
		{Topic: "site/of/b", Payload: []byte("back"), From: area.FromNode + ":b"},
		{Topic: "tacet/hub/a/pulse", Payload: []byte("1")},
		{Topic: "homeassistant/device/tacet_north/config", Payload: []byte("{}"), Retain: true},
		{Topic: area.CommandTopic("gate-2", "update"), Payload: []byte("carried")},
	} {
		if err := n[0].Publish(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	w := n[0].Dial(t, "gate-1")
	Say(t, w, area.ClaimTopic("north", "gate-1"), 1, false, "{}")
	Say(t, w, "last", 1, false, "last")
	if got := bodies(in.Take(t, 2)); !slices.Equal(got, []string{"carried", "last"}) {
		t.Errorf("b gets %q", got)
	}
}

// A will comes to the subscribers of the other node, once and as a will.
func wills(t *testing.T, join Join) {
	n := Hub(t, join, "a", "b")
	in := brokertest.NewInbox()
	cancel, err := n[1].SubscribeEverywhere("will/#", in.Put)
	if err != nil {
		t.Fatal(err)
	}
	defer cancel()
	n[0].Knows(n[1], "will/x", true)
	conn := n[0].Pipe(t)
	c := n[0].Client(t, "dies", func(o *mqtt.ClientOptions) {
		o.SetWill("will/dies", "gone", 1, false)
		o.SetCustomOpenConnectionFn(dialled(conn))
	})
	if token := c.Connect(); !token.WaitTimeout(Patience) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	_ = conn.Close()
	if m := in.Take(t, 1)[0]; !m.Will || m.From != "dies" || m.Node != "a" {
		t.Errorf("b hears %+v", m)
	}
}

// What came over a bridge does not go to a node that has the bridge itself.
func bridges(t *testing.T, join Join) {
	a := Start(t, join, "a")
	b := startWith(t, join, "b", area.FromBridge+":both")
	Met(t, a, b)
	in := brokertest.Subscribe(t, b.Dial(t, "reader"), "#", 1)
	a.Knows(b, "x", true)
	for _, m := range []area.Message{
		{Topic: "x", Payload: []byte("b has it"), From: area.FromBridge + ":both"},
		{Topic: "x", Payload: []byte("a alone has it"), From: area.FromBridge + ":one"},
	} {
		if err := a.Publish(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if got := bodies(in.Take(t, 1)); got[0] != "a alone has it" {
		t.Errorf("b gets %q", got)
	}
}

// A node that comes later is told what is wanted, and tells it.
func comesLater(t *testing.T, join Join) {
	a := Start(t, join, "a")
	in := brokertest.Subscribe(t, a.Dial(t, "reader"), "late/#", 1)
	b := Start(t, join, "b")
	Met(t, a, b)
	b.Knows(a, "late/x", true)
	Say(t, b.Dial(t, "writer"), "late/x", 1, false, "from b")
	in.Take(t, 1)
	b.Stop()
	a.Until("b is gone", func() bool { return a.Relay.Stats().Nodes == 0 })
	Say(t, a.Dial(t, "writer"), "x", 1, false, "for nobody")
	if s := a.Relay.Stats(); s.Lost != 0 {
		t.Errorf("a counts %+v", s)
	}
}
