package redis

import (
	"context"
	"testing"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/broker/relay"
	"github.com/tacet-hub/tacet/broker/relay/relaytest"
)

// joinRelay joins brokers over the engine.
func (e *engine) joinRelay(_ *testing.T, name string, r *relay.Relay) func(context.Context) error {
	m := backplane.NewMux(e.join(name))
	backplane.JoinRelay(m, r)
	return m.Run
}

// Brokers of several processes that are joined by a server.
func TestBrokersOfNodes(t *testing.T) {
	relaytest.Run(t, func(t *testing.T) relaytest.Join { return startEngine(t).joinRelay })
}
