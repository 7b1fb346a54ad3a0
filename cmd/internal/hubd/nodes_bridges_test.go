package hubd

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// Two nodes have the same bridge: what it brings in is there for the clients of both, and
// a group has the event once; also once one of the nodes is gone.
func TestABridgeOfTwoNodes(t *testing.T) {
	const from = area.FromBridge + ":plant"
	_, plant, _ := started(t, nil) // another broker, which keeps "tacet-" to itself
	s := startServer(t)
	with := func(name string) func(*conf.Config) {
		return func(c *conf.Config) {
			s.node(name, t.TempDir())(c)
			c.Mappings = []conf.Mapping{{Topic: "plant/{line}/alarm", Group: "alarms", Event: "Alarm"}}
			c.MQTT.Bridges = []conf.Bridge{{Name: "plant", URL: plant.MQTT, ClientID: "of-" + name, BufferBytes: 1 << 20, Topics: []conf.BridgedTopic{{Filter: "plant/#", Direction: "in", QoS: 1}}}}
		}
	}
	h1, r1, stop1 := started(t, with("hub-1"))
	h2, r2, _ := started(t, with("hub-2"))
	acquainted(t, h1, h2)
	for _, h := range []*Hub{h1, h2} {
		poll(t, "both links are known", func() bool {
			return h.relay.SideLinked("hub-1", from) && h.relay.SideLinked("hub-2", from)
		})
	}
	say := sayer(t, plant, "writer")
	one, two := memberOf(t, r1, "alarms", "Alarm"), memberOf(t, r2, "alarms", "Alarm")
	once := func(from, to int, members ...chan string) {
		t.Helper()
		for i := from; i < to; i++ {
			say("plant/1/alarm", fmt.Sprint(i))
		}
		for n, in := range members {
			for i := from; i < to; i++ {
				if got := next(t, in); !strings.Contains(got, fmt.Sprintf(`"payload":%d,`, i)) {
					t.Fatalf("member %d gets %s, want event %d", n, got, i)
				}
			}
		}
	}
	once(0, 100, one, two)
	for _, r := range []Ready{r1, r2} {
		until(t, r.HTTP+"/api/v1/topics?filter=plant/%23", hasAll(`"topic":"plant/1/alarm"`, `"payload":99`))
	}
	if err := stop1(); err != nil {
		t.Fatal(err)
	}
	poll(t, "hub-2 acts", func() bool { return h2.actor(from) == "hub-2" })
	once(100, 150, two)
}
