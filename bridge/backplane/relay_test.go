package backplane_test

import (
	"context"
	"testing"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/broker/relay"
	"github.com/tacet-hub/tacet/broker/relay/relaytest"
)

// Brokers of one process that are joined by an exchange.
func TestBrokersOfNodes(t *testing.T) {
	relaytest.Run(t, func(*testing.T) relaytest.Join {
		x := new(backplane.Exchange)
		return func(_ testing.TB, name string, r *relay.Relay) func(context.Context) error {
			m := backplane.NewMux(x.Join(name, ""))
			backplane.JoinRelay(m, r)
			return m.Run
		}
	})
}

// A node that has no broker is none of those that get what is published: it could not
// say that it wants nothing.
func TestWithoutBroker(t *testing.T) {
	x := new(backplane.Exchange)
	join := func(_ testing.TB, name string, r *relay.Relay) func(context.Context) error {
		m := backplane.NewMux(x.Join(name, ""))
		backplane.JoinRelay(m, r)
		return m.Run
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	view := backplane.NewMux(x.Join("view", backplane.WithoutBroker))
	go func() { ended <- view.Run(ctx) }() // joined below
	n := relaytest.Hub(t, join, "a", "b")
	for _, retain := range []bool{false, true} {
		relaytest.Say(t, n[0].Dial(t, "writer"), "x", 1, retain, "m")
	}
	if s := n[0].Relay.Stats(); s.Nodes != 1 || s.Sent != 1 {
		t.Errorf("a has sent %d to %d nodes, want what is retained to b alone", s.Sent, s.Nodes)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
