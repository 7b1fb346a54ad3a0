package hubd

import (
	"context"

	"github.com/tacet-hub/tacet/bridge"
	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/relay"
)

// kindTopics is the backplane's kind of what pumps ask each other.
const kindTopics = backplane.KindUser + 80

// otherPumps are the pumps of the other nodes; nil: there are none.
func (h *Hub) otherPumps() bridge.Others {
	if h.relay == nil {
		return nil
	}
	h.relay.OnNote(func(node, topic string, note []byte) { h.pump.Noted(node, topic, note) })
	h.nodes.mux.OnAsk(kindTopics, func(ctx context.Context, _ string, question []byte) ([]byte, error) {
		return h.pump.Answer(ctx, question)
	})
	return otherPumps{h.relay, h.broker, h.nodes.mux}
}

type otherPumps struct {
	*relay.Relay
	broker *broker.Broker
	mux    *backplane.Mux
}

func (o otherPumps) Subscribe(filter string, enqueue func(area.Message)) (cancel func(), err error) {
	return o.broker.SubscribeEverywhere(filter, func(m area.Message) {
		if m.Node != "" && !m.Replay {
			enqueue(m)
		}
	})
}

// Ask asks all nodes at once, and each for what it has beyond its first answer.
func (o otherPumps) Ask(ctx context.Context, question []byte, more func(node string, answer []byte, err error) []byte) {
	if !o.Up() {
		for _, node := range o.Others() {
			more(node, nil, relay.ErrMute)
		}
		return
	}
	next := map[string][]byte{}
	hear := func(node string, answer []byte, err error) bool {
		next[node] = more(node, answer, err)
		return true
	}
	o.mux.Ask(ctx, kindTopics, o.Others(), question, hear)
	for node := range next {
		for next[node] != nil {
			o.mux.Ask(ctx, kindTopics, []string{node}, next[node], hear)
		}
	}
}

// noting is the cluster of the device hub, which has this node want the notes on the
// topics while the group of topics has a member here.
type noting struct {
	*backplane.Cluster
	relay *relay.Relay
}

func (n noting) Want(topic string, on bool) {
	n.Cluster.Want(topic, on)
	if isTopics(topic) {
		n.relay.Want(bridge.NoteTopics, on)
	}
}

func (n noting) Await(ctx context.Context, topic string) {
	n.Cluster.Await(ctx, topic)
	if isTopics(topic) {
		n.relay.Await(ctx)
	}
}

func isTopics(topic string) bool {
	group, ok := signalr.GroupOf(topic)
	return ok && group == bridge.GroupTopics
}
