package relaytest

import (
	"context"
	"fmt"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
	"github.com/tacet-hub/tacet/broker/relay"
)

// noted is a node with its notes, each as a message of that node.
type noted struct {
	*Node
	in *brokertest.Inbox
}

func startNoted(t *testing.T, join Join, name string) noted {
	t.Helper()
	in := brokertest.NewInbox()
	return noted{Start(t, func(t testing.TB, name string, r *relay.Relay) func(context.Context) error {
		r.OnNote(func(node, topic string, note []byte) { in.Put(area.Message{Node: node, Topic: topic, Payload: note}) })
		return join(t, name, r)
	}, name), in}
}

// A note goes to the nodes that want its topic alone, in order, from the moment on at
// which they have awaited that it is known, to that at which they want it no longer.
func notes(t *testing.T, join Join) {
	a, b, c := startNoted(t, join, "a"), startNoted(t, join, "b"), startNoted(t, join, "c")
	Met(t, a.Node, b.Node, c.Node)
	if a.Relay.Wanted("x") {
		t.Error("a note is wanted that nobody wants")
	}
	a.Relay.Say("x", []byte("for nobody"))
	for round := range 5 {
		b.Relay.Want("x", true)
		b.Relay.Want("x", true)
		b.Relay.Await(t.Context())
		for i := range 10 {
			a.Relay.Say("x", fmt.Append(nil, round, i))
			a.Relay.Say("y", []byte("for nobody"))
		}
		for i, m := range b.in.Take(t, 10) {
			if m.Node != "a" || m.Topic != "x" || string(m.Payload) != fmt.Sprint(round, i) {
				t.Fatalf("round %d: note %d is %+v", round, i, m)
			}
		}
		b.Relay.Want("x", false)
		b.Relay.Await(t.Context())
		if !a.Relay.Wanted("x") {
			t.Error("one of two that want it has left, and nobody is told")
		}
		b.Relay.Want("x", false)
		b.Relay.Await(t.Context())
		if a.Relay.Wanted("x") {
			t.Error("b wants it no longer")
		}
		a.Relay.Say("x", []byte("for nobody"))
	}
	if s := a.Relay.Stats(); s.Notes != 50 || s.NotesLost != 0 {
		t.Errorf("a has counted %+v", s)
	}
	if s := c.Relay.Stats(); s.NotesHeard != 0 {
		t.Errorf("c has heard %d notes", s.NotesHeard)
	}
}

// What a part of the hub subscribes to everywhere is known when it has awaited that,
// too; and who asks for what is retained asks for nothing.
func awaited(t *testing.T, join Join) {
	n := Hub(t, join, "a", "b")
	writer := n[0].Dial(t, "writer")
	kept := brokertest.NewInbox()
	cancel, err := n[1].SubscribeKept("#", kept.Put)
	if err != nil {
		t.Fatal(err)
	}
	defer cancel()
	n[1].Relay.Await(t.Context())
	for i := range 100 {
		Say(t, writer, "site/x", 1, false, fmt.Sprint(i))
	}
	Say(t, writer, "site/kept", 1, true, "retained")
	if m := kept.Take(t, 1)[0]; m.Topic != "site/kept" || m.Node != "a" || m.Replay {
		t.Errorf("who asks for what is retained gets %+v", m)
	}
	if sent := n[0].Relay.Stats().Sent; sent != 1 {
		t.Errorf("%d messages have crossed, want the one that is retained", sent)
	}
	for round := range 5 {
		in := brokertest.NewInbox()
		cancel, err := n[1].SubscribeEverywhere("site/x", in.Put)
		if err != nil {
			t.Fatal(err)
		}
		n[1].Relay.Await(t.Context())
		Say(t, writer, "site/x", 0, false, fmt.Sprint("first ", round))
		if m := in.Take(t, 1)[0]; string(m.Payload) != fmt.Sprint("first ", round) {
			t.Errorf("round %d: the first is %q", round, m.Payload)
		}
		cancel()
	}
}
