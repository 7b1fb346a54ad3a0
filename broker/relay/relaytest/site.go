package relaytest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
	"github.com/tacet-hub/tacet/broker/relay"
)

// Patience bounds how long an event may take; a test that waits longer fails.
const Patience = time.Minute

// Join joins a relay with those of the other nodes of one hub, under a name of its
// own, and answers what runs until its context ends.
type Join func(t testing.TB, name string, r *relay.Relay) (run func(context.Context) error)

// Node is one broker of a hub.
type Node struct {
	*brokertest.Broker
	Relay *relay.Relay
	Name  string
	t     testing.TB
	stop  context.CancelFunc
	tasks *sync.WaitGroup
}

// Start starts one more node; it runs until the test ends, or [Node.Stop].
func Start(t testing.TB, join Join, name string, change ...func(*broker.Config)) *Node {
	t.Helper()
	r, err := relay.New(relay.Config{Node: name})
	if err != nil {
		t.Fatal(err)
	}
	return start(t, join, name, r, change...)
}

func start(t testing.TB, join Join, name string, r *relay.Relay, change ...func(*broker.Config)) *Node {
	t.Helper()
	n := &Node{Name: name, Relay: r, t: t, tasks: &sync.WaitGroup{}}
	n.Broker = brokertest.New(t, append(change, func(c *broker.Config) { c.Relay = r })...)
	run := join(t, name, r)
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	for what, f := range map[string]func(context.Context) error{"wire": run, "relay": r.Run} {
		n.tasks.Go(func() {
			if err := f(ctx); err != nil {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		})
	}
	t.Cleanup(n.Stop)
	return n
}

// Stop has the node leave the others; its broker goes on until the test ends.
func (n *Node) Stop() {
	n.stop()
	n.tasks.Wait()
}

// Hub starts nodes that know each other.
func Hub(t testing.TB, join Join, names ...string) (nodes []*Node) {
	t.Helper()
	for _, name := range names {
		nodes = append(nodes, Start(t, join, name))
	}
	Met(t, nodes...)
	return nodes
}

// Met waits until nodes know what all others of them want.
func Met(t testing.TB, nodes ...*Node) {
	t.Helper()
	for _, n := range nodes {
		n.Until("the others have told what they want", func() bool {
			s := n.Relay.Stats()
			return s.Nodes == len(nodes)-1 && s.Untold == 0
		})
	}
}

// Until waits until something is so at a node.
func (n *Node) Until(what string, is func() bool) {
	n.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(Patience); !is(); <-tick.C {
		if time.Now().After(end) {
			n.t.Fatalf("%s: not within %v: %s; %+v", n.Name, Patience, what, n.Relay.Stats())
		}
	}
}

// Knows waits until the node knows that another wants a topic, or that it does not.
func (n *Node) Knows(other *Node, topic string, wants bool) {
	n.t.Helper()
	n.Until(fmt.Sprintf("%s wants %s: %t", other.Name, topic, wants), func() bool {
		return slices.Contains(n.Relay.Route(topic).Nodes, other.Name) == wants
	})
}

// KnowsShare waits until the node knows how many members of a shared subscription are
// connected at another.
func (n *Node) KnowsShare(other *Node, filter, topic string, members int) {
	n.t.Helper()
	n.Until(fmt.Sprintf("%s has %d members of %s", other.Name, members, filter), func() bool {
		for _, s := range n.Relay.Route(topic).Shares {
			if m, ok := s.Members[other.Name]; ok && s.Filter == filter {
				return m == members
			}
		}
		return false
	})
}

// Say publishes by a client and waits for its acknowledgement.
func Say(t *testing.T, c mqtt.Client, topic string, qos byte, retain bool, payload string) {
	t.Helper()
	if token := c.Publish(topic, qos, retain, payload); !token.WaitTimeout(Patience) || token.Error() != nil {
		t.Fatalf("publish %s: %v", topic, token.Error())
	}
}

// messageOf is a client's message as ours.
func messageOf(m mqtt.Message) area.Message {
	return area.Message{Topic: m.Topic(), Payload: m.Payload(), QoS: m.Qos(), Retain: m.Retained()}
}

// bodies are the payloads of messages.
func bodies(list []area.Message) (out []string) {
	for _, m := range list {
		out = append(out, string(m.Payload))
	}
	return out
}
