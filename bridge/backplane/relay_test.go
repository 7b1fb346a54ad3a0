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
