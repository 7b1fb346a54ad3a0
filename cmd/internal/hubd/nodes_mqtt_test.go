package hubd

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
	"github.com/tacet-hub/tacet/broker/area"
)

// watcherOf is a web client of a node that is in every area and in group g, and what
// it hears, by event.
func watcherOf(t *testing.T, r Ready, events ...string) map[string]chan string {
	t.Helper()
	c, err := signalrtest.Dial(t.Context(), r.HTTP+hubPath, signalrtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	heard := map[string]chan string{}
	for _, e := range events {
		in := make(chan string, 10_000)
		heard[e] = in
		c.On(e, func(args []json.RawMessage) { in <- fmt.Sprintf("%s", args) })
	}
	for method, arg := range map[string]string{"JoinGroup": "g", "JoinArea": "*"} {
		if _, err := c.Invoke(t.Context(), method, arg); err != nil {
			t.Fatal(err)
		}
	}
	return heard
}

// What a sensor at one node says reaches the web clients and the list of topics of
// both, and an event of a group its members at both: each once.
func TestMessagesOfTwoNodes(t *testing.T) {
	s := startServer(t)
	h1, r1, _ := started(t, s.node("hub-1", t.TempDir()))
	h2, r2, _ := started(t, s.node("hub-2", t.TempDir()))
	pairs := map[*Hub]string{h1: "hub-2", h2: "hub-1"}
	for h := range pairs {
		poll(t, "the nodes have told each other what they want", func() bool {
			st := h.relay.Stats()
			return st.Nodes == 1 && st.Untold == 0
		})
	}
	var heard []map[string]chan string
	for _, r := range []Ready{r1, r2} {
		heard = append(heard, watcherOf(t, r, "Reading", "DeviceEvent", "Hello"))
	}
	sensor := paho(t, strings.Replace(r1.MQTT, "mqtt", "tcp", 1), "sensor-1", nil)
	say := func(topic, payload string) {
		t.Helper()
		if token := sensor.Publish(topic, 0, false, payload); !token.WaitTimeout(time.Minute) || token.Error() != nil {
			t.Fatal(token.Error())
		}
	}
	const rounds = 5
	for i := range rounds {
		say(area.Root+"/device/sensor-1/tele/temperature", fmt.Sprint(20+i))
		say("zigbee2mqtt/button", fmt.Sprintf(`{"action":"press-%d"}`, i))
		say(area.GroupTopic("g", "Hello"), fmt.Sprintf(`["m-%d"]`, i))
		for n := range heard {
			for event, want := range map[string]string{"Reading": fmt.Sprintf(`"value":%d`, 20+i), "DeviceEvent": fmt.Sprint("press-", i), "Hello": fmt.Sprint("m-", i)} {
				select {
				case got := <-heard[n][event]:
					if !strings.Contains(got, want) {
						t.Fatalf("watcher %d, round %d: %s %s, want %s", n, i, event, got, want)
					}
				case <-time.After(time.Minute):
					t.Fatalf("watcher %d, round %d: no %s", n, i, event)
				}
			}
		}
	}
	for n := range heard {
		for event, in := range heard[n] {
			if len(in) > 0 {
				t.Errorf("watcher %d hears %s once more: %s", n, event, <-in)
			}
		}
	}
	for _, r := range []Ready{r1, r2} {
		if _, body := get(t, r.HTTP+"/api/v1/readings"); !strings.Contains(body, `"device":"sensor-1"`) {
			t.Errorf("the readings of %s are %s", r.Node, body)
		}
	}
}

// poll waits until something is so.
func poll(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !is(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("not within a minute: " + what)
		}
	}
}
