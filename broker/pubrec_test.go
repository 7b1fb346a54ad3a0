package broker_test

import (
	"testing"
	"testing/synctest"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker/brokertest"
)

// TestQoS2SentAgain: the sender hears that the message was received, as often as
// it asks, and the message is published once.
func TestQoS2SentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		seen := subscribe(t, b, "in")
		for _, version := range []byte{4, 5} {
			r := dial(t, b, version, "gate-1")
			pk := publishPacket("in", "x", 2, 7)
			for range 3 {
				r.send(pk)
				if rec := r.expect(packets.Pubrec); rec.PacketID != 7 || rec.ReasonCode != 0 || rec.FixedHeader.Remaining != 2 && version == 4 {
					t.Errorf("v%d: PUBREC %d %#x", version, rec.PacketID, rec.ReasonCode)
				}
				pk.FixedHeader.Dup = true
			}
			r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel}, PacketID: 7})
			r.expect(packets.Pubcomp)
			r.alive()
			seen.Take(t, 1)
			if n := seen.Len(); n > 0 {
				t.Errorf("v%d: it came %d times", version, 1+n)
			}
		}
	})
}
