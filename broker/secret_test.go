package broker_test

import (
	"testing"
	"testing/synctest"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// TestAreaKeyGoesToItsDeviceAlone: the roster document has the key of the area.
// In open mode a client is who it says it is; still nobody gets the document who
// asked for everything, nor keeps it in a session.
func TestAreaKeyGoesToItsDeviceAlone(t *testing.T) {
	signIn := func(name string) func(*mqtt.ClientOptions) {
		return func(o *mqtt.ClientOptions) { o.SetUsername(name).SetPassword(secret) }
	}
	for mode, guard := range map[string]func(*broker.Config){"open": func(*broker.Config) {}, "guarded": withAuth(authority(t, people()))} {
		t.Run(mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := brokertest.New(t, guard)
				topic := area.PeersTopic("gate-1")
				inbox := map[string]*brokertest.Inbox{}
				for client, name := range map[string]string{"gate-1": "gate-1", "gate-1:trunk": "gate-1", "root": "root", "ann": "ann", "gate-2": "gate-2"} {
					filter := "#"
					if name == "gate-1" || name == "gate-2" {
						filter = "tacet/device/" + name + "/#"
					}
					inbox[client] = brokertest.Subscribe(t, b.Dial(t, client, signIn(name)), filter, 1)
				}
				keeper := b.Dial(t, "root:2", signIn("root"), func(o *mqtt.ClientOptions) { o.SetCleanSession(false) })
				keeper.Subscribe("#", 1, nil).Wait()
				keeper.Disconnect(0)
				synctest.Wait() // it does so beside us
				other := b.Dial(t, "root:3", signIn("root"))
				if tok := other.Subscribe(topic, 1, nil).(*mqtt.SubscribeToken); tok.Wait() && tok.Result()[topic] != 0x80 {
					t.Errorf("a subscription to the topic itself is answered %v", tok.Result())
				}
				publish(t, b, area.Message{Topic: topic, Payload: []byte("key"), QoS: 1})
				publish(t, b, area.Message{Topic: area.TrunkDownTopic("gate-1"), Payload: []byte("{}"), QoS: 1})
				synctest.Wait()
				for client, want := range map[string]int{"gate-1": 2, "gate-1:trunk": 2, "root": 1, "ann": 1, "gate-2": 0} {
					if got := inbox[client].Len(); got != want {
						t.Errorf("%s heard %d messages, want %d", client, got, want)
					}
				}
				again := brokertest.NewInbox()
				b.Dial(t, "root:2", signIn("root"), func(o *mqtt.ClientOptions) {
					o.SetCleanSession(false).SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
						again.Put(area.Message{Topic: m.Topic(), Payload: m.Payload()})
					})
				})
				synctest.Wait()
				if n := again.Len(); n != 1 {
					t.Errorf("the session kept %d messages, want that of the trunk alone", n)
				}
			})
		})
	}
}
