package hubd

import (
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/tacet-hub/tacet/bridge/backplane"
)

// When a node is gone another takes its sessions over, without their clients having
// come: what is published then waits for them.
func TestSessionsOfANodeThatIsGone(t *testing.T) {
	s := startServer(t)
	h1, r1, _ := started(t, s.node("hub-1", t.TempDir()))
	h2, r2, stop := started(t, s.node("hub-2", t.TempDir()))
	for _, h := range []*Hub{h1, h2} {
		poll(t, "what it keeps is with the other", func() bool { return h.nodes.estate.Stats().InStep && h.relay.Stats().Nodes == 1 })
	}
	heard := make(chan string, 10)
	keeper := func(r Ready) (c mqtt.Client, present bool) {
		t.Helper()
		c = mqtt.NewClient(mqtt.NewClientOptions().AddBroker(strings.Replace(r.MQTT, "mqtt", "tcp", 1)).SetClientID("keeper").SetCleanSession(false).SetAutoReconnect(false).
			SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { heard <- string(m.Payload()) }))
		token := c.Connect().(*mqtt.ConnectToken)
		if !token.WaitTimeout(time.Minute) || token.Error() != nil {
			t.Fatal(token.Error())
		}
		t.Cleanup(func() { c.Disconnect(0) })
		return c, token.SessionPresent()
	}
	said := func(token mqtt.Token) {
		t.Helper()
		if !token.WaitTimeout(time.Minute) || token.Error() != nil {
			t.Fatal(token.Error())
		}
	}
	c, _ := keeper(r2)
	said(c.Subscribe("q", 1, nil))
	c.Disconnect(0)
	poll(t, "its client has gone", func() bool { return h2.broker.Stats().Connections == 0 })
	said(paho(t, strings.Replace(r2.MQTT, "mqtt", "tcp", 1), "writer-2", nil).Publish("q", 1, false, "before"))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	poll(t, "its session is taken over", func() bool { return h1.broker.Stats().Inherited == 1 })
	said(paho(t, strings.Replace(r1.MQTT, "mqtt", "tcp", 1), "writer-1", nil).Publish("q", 1, false, "since"))
	if _, present := keeper(r1); !present {
		t.Error("there is no session")
	}
	for _, want := range []string{"before", "since"} {
		select {
		case got := <-heard:
			if got != want {
				t.Errorf("%q comes, want %q", got, want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%q does not come", want)
		}
	}
}

// A node is down that is no longer among those that live; one that was never seen there
// only after a while.
func TestDeadNodes(t *testing.T) {
	d := deadNodes{lived: map[string]bool{}, missed: map[string]time.Time{}, waits: map[string]time.Duration{}, due: map[string]time.Time{}, patience: 20 * time.Second}
	now := time.Unix(1000, 0)
	alive := func(names ...string) {
		var list []backplane.Node
		for _, n := range names {
			list = append(list, backplane.Node{Name: n})
		}
		d.see(list)
	}
	is := func(node string, after time.Duration, want bool) {
		t.Helper()
		if got := d.dead(node, now.Add(after)); got != want {
			t.Errorf("%s is dead after %v: %t", node, after, got)
		}
	}
	alive("a", "b")
	is("b", 0, false)
	is("c", 0, false)
	is("c", 19*time.Second, false)
	is("c", 20*time.Second, true)
	alive("a")
	is("b", 0, true)
	d.again("b", now)
	is("b", time.Second, false)
	is("b", 5*time.Second, true)
	for range 10 {
		d.again("b", now)
	}
	is("b", 50*time.Second, false)
	is("b", time.Minute, true)
	alive("a", "b", "c")
	is("c", time.Hour, false)
	alive("a")
	is("b", 0, true)
}
