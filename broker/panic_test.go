package broker_test

import (
	"testing"
	"testing/synctest"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// cutSubscribe is a SUBSCRIBE of MQTT 5 that ends behind its only filter: the
// library reads past it.
const cutSubscribe = "\x82\x06\x00\x01\x00\x00\x01a"

// TestPanicClosesOneConnection: what makes the library panic ends the
// connection that it came on, with its will and its end told, and no other.
func TestPanicClosesOneConnection(t *testing.T) {
	for name, keep := range map[string]bool{"a session that ends": false, "a session that stays": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := brokertest.New(t)
				seen := subscribe(t, b, "status")
				other := dial(t, b, 4, "other")
				ends := events(b)
				r := dial(t, b, 5, "bad", withWill("status", "gone", false), func(pk *packets.Packet) {
					pk.Connect.Clean = !keep
					if keep {
						pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = 600, true
					}
				})
				r.send(subscribePacket(1, 1, "in"))
				r.expect(packets.Suback)
				if _, err := r.Write([]byte(cutSubscribe)); err != nil {
					t.Fatal(err)
				}
				r.closed()
				if m := seen.Take(t, 1)[0]; !m.Will || string(m.Payload) != "gone" {
					t.Errorf("%+v came, want the will", m)
				}
				other.alive()
				for e := range ends {
					if e.Client == "bad" && !e.Up {
						if e.Reason != broker.Closed {
							t.Errorf("the event says %q, want %q", e.Reason, broker.Closed)
						}
						break
					}
				}
				synctest.Wait()
				if st := b.Stats(); st.Panics != 1 || st.Connections != 1 || st.Sessions != 1+btoi(keep) || st.Subscriptions != int64(btoi(keep)) {
					t.Errorf("stats %+v", st)
				}
				publish(t, b, area.Message{Topic: "in", Payload: []byte("x"), QoS: 1})
				if n := b.Stats().Queued; n != int64(btoi(keep)) {
					t.Errorf("%d queued, want %d", n, btoi(keep))
				}
			})
		})
	}
}
