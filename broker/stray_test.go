package broker_test

import (
	"context"
	"slices"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// keepSession makes the session last.
func keepSession(pk *packets.Packet) {
	pk.Connect.Clean = false
	pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = 3600, true
}

// TestStrays: a message that goes to the client of before, while its session is
// being handed over or after that, comes to the connection that has it, and
// under a packet id that no other message has.
func TestStrays(t *testing.T) {
	for name, open := range backends {
		for _, version := range []byte{4, 5} {
			t.Run(name+" "+string('0'+version), func(t *testing.T) {
				st := open(t)
				b := brokertest.New(t, func(c *broker.Config) { c.Store = st })
				r := dial(t, b, version, "gate-1", keepSession)
				r.send(subscribePacket(1, 1, "q/#"))
				r.expect(packets.Suback)
				_ = r.Close()
				awaitGone(t, b, "gate-1")

				stray := b.Stray("gate-1")
				first := true
				if err := b.BeforeConnack(func() {
					if first {
						stray("q/a", "astray")
						if err := b.Publish(context.Background(), area.Message{Topic: "q/b", Payload: []byte("live"), QoS: 1}); err != nil {
							t.Error(err)
						}
					}
					first = false
				}); err != nil {
					t.Fatal(err)
				}
				r = dial(t, b, version, "gate-1", keepSession)
				x, y := r.expect(packets.Publish), r.expect(packets.Publish)
				if got := []string{string(x.Payload), string(y.Payload)}; !slices.Equal(got, []string{"astray", "live"}) {
					t.Errorf("came %q", got)
				}
				if x.PacketID == y.PacketID {
					t.Errorf("both have the packet id %d", x.PacketID)
				}
				stray("q/c", "late")
				if z := r.expect(packets.Publish); string(z.Payload) != "late" || z.PacketID == x.PacketID || z.PacketID == y.PacketID {
					t.Errorf("came %q under %d, beside %d and %d", z.Payload, z.PacketID, x.PacketID, y.PacketID)
				}

				st.settle()
				b = brokertest.New(t, func(c *broker.Config) { c.Store = st.crash(t) })
				r = dial(t, b, version, "gate-1", keepSession)
				for _, want := range []string{"astray", "live", "late"} {
					if pk := r.expect(packets.Publish); string(pk.Payload) != want {
						t.Errorf("after a crash %q, want %q", pk.Payload, want)
					}
				}
			})
		}
	}
}

// awaitGone waits until a client has no connection.
func awaitGone(t *testing.T, b *brokertest.Broker, client string) {
	t.Helper()
	for b.Disconnect(client, "gone?") {
	}
}
