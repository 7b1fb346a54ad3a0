package backplane

import "github.com/tacet-hub/tacet/broker/relay"

// kindMQTT is what the relays of brokers say to each other.
const kindMQTT = KindUser + 8

// JoinRelay joins the relay of a node's broker with those of the other nodes of a
// mux, before either runs.
func JoinRelay(m *Mux, r *relay.Relay) {
	m.OnHear(kindMQTT, func(e Envelope) { r.Hear(e.Origin, e.Body) })
	m.OnMissed(func(origin string, partition int, n uint64) {
		if partition == Inbox {
			r.Missed(origin, n)
		}
	})
	m.OnNodes(func(list []Node) {
		all := make([]relay.Node, len(list))
		for i, n := range list {
			all[i] = relay.Node{Name: n.Name, Life: n.Life}
		}
		r.Nodes(all)
	})
	m.OnConnected(r.Connected)
	r.Join(relayWire{m})
}

// relayWire is a mux as a relay sees it.
type relayWire struct{ m *Mux }

func (w relayWire) Send(node string, word []byte) error {
	return w.m.plane.Send(node, Envelope{Kind: kindMQTT, Body: word})
}
