package backplane

import (
	"context"

	"github.com/tacet-hub/tacet/bridge/signalr"
)

// Kinds of the hub's envelopes and questions.
const (
	kindLetter = KindUser
	kindInvoke = KindUser + 1
)

// Cluster joins a SignalR server with those of the other nodes of a mux: it is
// signalr.Config's Cluster. [Cluster.Serve] names the server before the mux runs.
type Cluster struct{ mux *Mux }

// NewCluster makes the cluster of a mux. A mux has one.
func NewCluster(m *Mux) *Cluster { return &Cluster{m} }

var _ signalr.Cluster = (*Cluster)(nil)

// Serve hands what comes to s.
func (c *Cluster) Serve(s *signalr.Server) {
	c.mux.OnHear(kindLetter, func(e Envelope) {
		s.Hear(signalr.Letter{Kind: e.Flags, Target: e.Target, Except: e.Except, Body: e.Body})
	})
	c.mux.OnAsk(kindInvoke, func(ctx context.Context, _ string, body []byte) ([]byte, error) { return s.Answer(ctx, body) })
}

// Self implements signalr.Cluster.
func (c *Cluster) Self() string { return c.mux.plane.Self() }

// Publish implements signalr.Cluster.
func (c *Cluster) Publish(topic string, l signalr.Letter) error {
	return c.mux.Publish(topic, envelopeOf(l))
}

// Send implements signalr.Cluster.
func (c *Cluster) Send(node string, l signalr.Letter) error {
	return c.mux.plane.Send(node, envelopeOf(l))
}

func envelopeOf(l signalr.Letter) Envelope {
	return Envelope{Kind: kindLetter, Flags: l.Kind, Target: l.Target, Except: l.Except, Body: l.Body}
}

// Want implements signalr.Cluster.
func (c *Cluster) Want(topic string, on bool) { c.mux.Want(topic, on) }

// Await implements signalr.Cluster.
func (c *Cluster) Await(ctx context.Context, topic string) { c.mux.Await(ctx, topic) }

// Ask implements signalr.Cluster.
func (c *Cluster) Ask(ctx context.Context, nodes []string, question []byte, reply func(node string, answer []byte, err error) bool) {
	c.mux.Ask(ctx, kindInvoke, nodes, question, reply)
}
