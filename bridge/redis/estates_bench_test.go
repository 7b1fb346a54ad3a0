package redis

import (
	"testing"

	"github.com/eclipse/paho.mqtt.golang"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/brokertest"
	"github.com/tacet-hub/tacet/broker/relay/relaytest"
)

// BenchmarkKept is a client's publications of QoS 1, 20 of them under way, to a session
// that is kept and connected, each acknowledged when it is in the queue of that: on a disk
// in memory alone, and with redis-server as well.
func BenchmarkKept(b *testing.B) {
	for name, node := range map[string]func(e *engine) *relaytest.Node{
		"disk": func(e *engine) *relaytest.Node {
			disk := brokertest.NewStore(b)
			return relaytest.Start(b, e.joinRelay, "a", func(c *broker.Config) { c.Store = disk })
		},
		"disk and server": func(e *engine) *relaytest.Node {
			h := relaytest.StartHeir(b, e.joinRelay, "a", brokertest.NewStore(b), e.estates("a"))
			h.Copied()
			return h.Node
		},
	} {
		b.Run(name, func(b *testing.B) {
			n := node(startEngine(b))
			reader := n.Dial(b, "reader", func(o *mqtt.ClientOptions) { o.SetCleanSession(false) })
			if token := reader.Subscribe("q", 1, func(mqtt.Client, mqtt.Message) {}); !token.WaitTimeout(relaytest.Patience) || token.Error() != nil {
				b.Fatal(token.Error())
			}
			w := n.Dial(b, "writer")
			var under []mqtt.Token
			for b.Loop() {
				if under = append(under, w.Publish("q", 1, false, make([]byte, 256))); len(under) == 20 {
					if !under[0].WaitTimeout(relaytest.Patience) || under[0].Error() != nil {
						b.Fatal(under[0].Error())
					}
					under = under[1:]
				}
			}
		})
	}
}
