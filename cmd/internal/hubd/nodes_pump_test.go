package hubd

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// acquainted waits until two nodes have told each other what they want.
func acquainted(t *testing.T, nodes ...*Hub) {
	t.Helper()
	for _, h := range nodes {
		poll(t, "the nodes have told each other what they want", func() bool {
			s := h.relay.Stats()
			return s.Nodes == len(nodes)-1 && s.Untold == 0
		})
	}
}

// A message that comes in at one node goes to another only while somebody there wants
// it, from the first one after he was told that he gets it: a member of the group of
// topics a sample, one of a mapped group its events, a client of MQTT what he subscribes
// to. The list of topics is one all the same.
func TestOnlyWhatIsWantedCrosses(t *testing.T) {
	s := startServer(t)
	with := func(name string) func(*conf.Config) {
		return func(c *conf.Config) {
			s.node(name, t.TempDir())(c)
			c.Mappings = []conf.Mapping{{Topic: "plant/{line}/alarm", Group: "alarms", Event: "Alarm"}}
		}
	}
	h1, r1, _ := started(t, with("hub-1"))
	h2, r2, _ := started(t, with("hub-2"))
	for _, r := range []Ready{r1, r2} {
		idleAt(t, r) // so that the nodes have nothing else to say
	}
	acquainted(t, h1, h2)
	say := sayer(t, r1, "writer")
	before := h1.relay.Stats()
	for i := range 1000 {
		say("plain/x", fmt.Sprint(i))
		say("plant/1/alarm", fmt.Sprint(i))
	}
	say("plain/end", "1")
	until(t, r2.HTTP+"/api/v1/topics?filter=plain/%23", func(b string) bool {
		return strings.Contains(b, `"topic":"plain/end"`) && strings.Contains(b, `"topic":"plain/x","payload":999,"retained":false`)
	})
	if got := h1.relay.Stats(); got.Sent != before.Sent || got.Notes != before.Notes {
		t.Errorf("of 2,000 messages that nobody wants at hub-2 it was sent %d, and %d notes", got.Sent-before.Sent, got.Notes-before.Notes)
	}

	alarms := memberOf(t, r2, "alarms", "Alarm")
	say("plant/1/alarm", `"from here"`)
	for !strings.Contains(next(t, alarms), `"payload":"from here",`) { // of those before some may be on their way yet
	}
	for i := range 10 {
		say("plant/1/alarm", fmt.Sprint(i))
		if got := next(t, alarms); !strings.Contains(got, fmt.Sprintf(`"payload":%d,`, i)) {
			t.Fatalf("event %d of a mapped group is %s", i, got)
		}
	}
	if got := h1.relay.Stats(); got.Sent != before.Sent || got.Notes != before.Notes {
		t.Errorf("for a mapped group %d messages and %d notes were sent", got.Sent-before.Sent, got.Notes-before.Notes)
	}
	topics := memberOf(t, r2, "topics", "Topic")
	say("plain/first", "1")
	for !strings.Contains(next(t, topics), `"topic":"plain/first"`) { // hub-2 has topics of its own
	}
	if got := h1.relay.Stats(); got.Sent != before.Sent || got.Notes == before.Notes {
		t.Errorf("for the sample of topics %d messages and %d notes were sent", got.Sent-before.Sent, got.Notes-before.Notes)
	}
	reader := paho(t, strings.Replace(r2.MQTT, "mqtt", "tcp", 1), "reader", nil)
	in := make(chan string, 10)
	if token := reader.Subscribe("plain/+", 1, func(_ mqtt.Client, m mqtt.Message) { in <- m.Topic() }); !token.WaitTimeout(time.Minute) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	poll(t, "hub-1 knows what the client wants", func() bool { return len(h1.relay.Route("plain/y").Nodes) == 1 })
	say("plain/y", "1")
	if got := next(t, in); got != "plain/y" {
		t.Errorf("a client of MQTT gets %s", got)
	}
	if got := h1.relay.Stats(); got.Sent != before.Sent+1 {
		t.Errorf("for a client of MQTT %d messages were sent", got.Sent-before.Sent)
	}
}

// memberOf is what a web client of a node hears that has joined a group.
func memberOf(t *testing.T, r Ready, group, event string) chan string {
	t.Helper()
	c, err := signalrtest.Dial(t.Context(), r.HTTP+hubPath, signalrtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	in := make(chan string, 10_000)
	c.On(event, func(args []json.RawMessage) { in <- fmt.Sprintf("%s", args) })
	if _, err := c.Invoke(t.Context(), "JoinGroup", group); err != nil {
		t.Fatal(err)
	}
	return in
}

func next(t *testing.T, in chan string) string {
	t.Helper()
	select {
	case got := <-in:
		return got
	case <-time.After(time.Minute):
		t.Fatal("nothing has come within a minute")
		return ""
	}
}
