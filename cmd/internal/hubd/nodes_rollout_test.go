package hubd

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/tacet-hub/tacet/bridge/rollout"
	"github.com/tacet-hub/tacet/broker/area"
)

// updated is a device at a node that takes every update that it is ordered to.
func updated(t *testing.T, r Ready, id area.DeviceID, ordered chan<- area.DeviceID) {
	t.Helper()
	c := paho(t, strings.Replace(r.MQTT, "mqtt", "tcp", 1), string(id), nil)
	say := func(u area.Update) mqtt.Token {
		st := area.Status{Area: "north", Boot: 1, Conn: 1, MID: string(id), State: "idle", Online: true, Update: &u}
		return c.Publish(area.StatusTopic(id), 1, true, st.Encode())
	}
	done := c.Subscribe(area.CommandTopic(id, "update"), 1, func(_ mqtt.Client, m mqtt.Message) {
		var o area.UpdateOrder
		if err := json.Unmarshal(m.Payload(), &o); err != nil {
			t.Error(err)
		}
		ordered <- id
		say(area.Update{State: area.UpdateConfirmed, Order: o.Order, Version: "v2.0.0"})
	})
	for _, token := range []mqtt.Token{done, say(area.Update{State: area.UpdateIdle, Version: "v1.0.0"})} {
		if !token.WaitTimeout(time.Minute) || token.Error() != nil {
			t.Fatal(token.Error())
		}
	}
}

// TestRolloutsOfTwoNodes: a rollout that is made at one node updates devices of both,
// each once, and is the same at both, also when its coordinator has gone.
func TestRolloutsOfTwoNodes(t *testing.T) {
	s := startServer(t)
	_, r1, stop1 := started(t, s.node("hub-1", t.TempDir()))
	_, r2, _ := started(t, s.node("hub-2", t.TempDir()))
	ordered := make(chan area.DeviceID, 10)
	updated(t, r1, "gate-1", ordered)
	updated(t, r2, "gate-2", ordered)
	rolled := func(when string, r Ready, body string) string {
		t.Helper()
		var made rollout.Rollout
		if err := json.Unmarshal([]byte(mustWrite(t, http.MethodPost, r.HTTP+"/api/v1/rollouts", body)), &made); err != nil || made.ID == "" {
			t.Fatalf("%s: %v", when, err)
		}
		return made.ID
	}
	for _, r := range []Ready{r1, r2} {
		until(t, r.HTTP+"/api/v1/devices?kind=player&presence=online", hasAll("gate-1", "gate-2"))
	}
	id := rolled("by the younger node", r2, `{"to":{"all":true},"version":"v2.0.0"}`)
	for _, r := range []Ready{r1, r2} {
		until(t, r.HTTP+"/api/v1/rollouts/"+id, func(b string) bool {
			return strings.Count(b, `"state":"confirmed"`) == 2 && strings.Contains(b, `"state":"done"`)
		})
	}
	if a, b := <-ordered, <-ordered; a != "gate-1" || b != "gate-2" || len(ordered) > 0 {
		t.Errorf("ordered were %s and %s, and %d more", a, b, len(ordered))
	}
	if err := stop1(); err != nil {
		t.Fatal(err)
	}
	id = rolled("by the one that is left", r2, `{"to":{"device":"gate-2"},"version":"v3.0.0"}`)
	until(t, r2.HTTP+"/api/v1/rollouts/"+id, hasAll(`"state":"confirmed"`))
	if _, body := get(t, r2.HTTP+"/api/v1/rollouts"); strings.Count(body, `"id":"u-`) != 2 {
		t.Errorf("the rollouts are %s", body)
	}
}
