package e2e

import (
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// sender is one MQTT connection that publishes: unlike what several runs of
// mosquitto_pub send, its messages are taken one after the other.
type sender struct {
	t *testing.T
	c mqtt.Client
}

// sender connects.
func (h *hub) sender() *sender {
	h.t.Helper()
	return h.senderAs("sender")
}

// senderAs is sender with a client identifier.
func (h *hub) senderAs(id string) *sender {
	h.t.Helper()
	o := mqtt.NewClientOptions().AddBroker("tcp://127.0.0.1:" + port(h.t, h.ready.MQTT)).SetClientID(id).SetAutoReconnect(false)
	s := &sender{t: h.t, c: mqtt.NewClient(o)}
	s.await("connect", s.c.Connect())
	h.t.Cleanup(func() { s.c.Disconnect(0) })
	return s
}

// publish returns when the message is acknowledged.
func (s *sender) publish(topic, payload string) {
	s.t.Helper()
	s.await(topic, s.c.Publish(topic, 1, false, payload))
}

func (s *sender) await(what string, k mqtt.Token) {
	s.t.Helper()
	if !k.WaitTimeout(patience) || k.Error() != nil {
		s.t.Fatalf("MQTT: %s: %v", what, k.Error())
	}
}

// TestMQTTOverWebSocket: the web listener takes MQTT too, and it is the same
// broker.
func TestMQTTOverWebSocket(t *testing.T) {
	t.Parallel()
	h := start(t)
	got := make(chan mqtt.Message, 1)
	o := mqtt.NewClientOptions().AddBroker("ws" + h.ready.HTTP[len("http"):] + "/mqtt").SetClientID("browser").SetAutoReconnect(false)
	s := &sender{t: t, c: mqtt.NewClient(o)}
	s.await("connect", s.c.Connect())
	defer s.c.Disconnect(0)
	s.await("subscribe", s.c.Subscribe("home/#", 1, func(_ mqtt.Client, m mqtt.Message) { got <- m }))
	h.publish("home/north/hall/temperature", "21.5")
	select {
	case m := <-got:
		same(t, "payload", string(m.Payload()), "21.5")
	case <-time.After(patience):
		t.Fatal("nothing came over the WebSocket")
	}
}
