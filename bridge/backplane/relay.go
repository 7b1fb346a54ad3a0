package backplane

import (
	"context"
	"fmt"
	"time"

	"github.com/tacet-hub/tacet/broker/relay"
)

// What the relays of brokers say to each other, and what they ask.
const (
	kindMQTT    = KindUser + 64
	kindAskMQTT = KindUser + 65
)

// WithoutBroker is the note of a node that has no broker: nothing of what brokers say
// to each other goes there.
const WithoutBroker = "no broker"

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
		all := make([]relay.Node, 0, len(list))
		for _, n := range list {
			if n.Note != WithoutBroker {
				all = append(all, relay.Node{Name: n.Name, Life: n.Life})
			}
		}
		r.Nodes(all)
	})
	m.OnConnected(r.Connected)
	m.OnAsk(kindAskMQTT, r.Answer)
	r.Join(relayWire{m})
}

// relayWire is a mux as a relay sees it.
type relayWire struct{ m *Mux }

func (w relayWire) Send(node string, word []byte) error {
	return w.m.plane.Send(node, Envelope{Kind: kindMQTT, Body: word})
}

// busyPause is how long one waits who has found a node busy with questions.
const busyPause = 10 * time.Millisecond

// Ask puts a question again while the node is busy: after the loss of a node all of
// its clients come at once.
func (w relayWire) Ask(ctx context.Context, node string, question []byte) (answer []byte, err error) {
	for {
		err = fmt.Errorf("%w: %s", ErrGone, node) // nobody was asked
		w.m.Ask(ctx, kindAskMQTT, []string{node}, question, func(_ string, b []byte, e error) bool {
			answer, err = b, e
			return true
		})
		if err == nil || err.Error() != ErrBusy.Error() { // it came as a text
			return answer, err
		}
		select {
		case <-time.After(busyPause):
		case <-ctx.Done():
			return nil, err
		}
	}
}
