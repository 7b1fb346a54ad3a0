package broker_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// live publishes on topics and answers those that came.
func live(t *testing.T, b *brokertest.Broker, r *raw, topics ...string) string {
	t.Helper()
	for _, topic := range topics {
		publish(t, b, area.Message{Topic: topic, Payload: []byte("x"), QoS: 1})
	}
	var got []string
	for _, pk := range r.burst() {
		got = append(got, pk.TopicName)
		r.ack(packets.Puback, pk.PacketID)
	}
	return strings.Join(got, " ")
}

func unsubscribe(r *raw, filters ...string) packets.Packet {
	r.t.Helper()
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe}, PacketID: 9}
	for _, f := range filters {
		pk.Filters = append(pk.Filters, packets.Subscription{Filter: f})
	}
	r.send(pk)
	return r.expect(packets.Unsuback)
}

// TestParentOfHash is row 22, live: "x/+/#" matches "x/y", and the client is
// none the wiser how.
func TestParentOfHash(t *testing.T) {
	for _, version := range []byte{4, 5} {
		synctest.Test(t, func(t *testing.T) {
			b := brokertest.New(t)
			r := dial(t, b, version, "gate-1", keeping)
			r.send(subscribePacket(1, 1, "x/+/#", "+/#", "y"))
			if ack := r.expect(packets.Suback); !slices.Equal(ack.ReasonCodes, []byte{1, 1, 1}) {
				t.Errorf("v%d: SUBACK %#x", version, ack.ReasonCodes)
			}
			if got := live(t, b, r, "x/y", "x/y/z", "x", "y", "z"); got != "x/y x/y/z x y z" {
				t.Errorf("v%d: %q came", version, got)
			}
			_ = r.Close()
			synctest.Wait()
			r = resume(t, b, version, "gate-1")
			if ack := unsubscribe(r, "+/#", "nothing"); version == 5 && !slices.Equal(ack.ReasonCodes, []byte{0, 0x11}) {
				t.Errorf("v%d: UNSUBACK %#x", version, ack.ReasonCodes)
			}
			if got := live(t, b, r, "x/y", "x", "y", "z"); got != "x/y y" {
				t.Errorf("v%d: %q came after the first UNSUBSCRIBE", version, got)
			}
			if ack := unsubscribe(r, "x/+"); version == 5 && ack.ReasonCodes[0] != 0x11 {
				t.Errorf("v%d: UNSUBACK %#x for what was not asked for", version, ack.ReasonCodes)
			}
			r.send(subscribePacket(1, 0, "x/+"))
			r.expect(packets.Suback)
			if ack := unsubscribe(r, "x/+"); version == 5 && ack.ReasonCodes[0] != 0 {
				t.Errorf("v%d: UNSUBACK %#x", version, ack.ReasonCodes)
			}
			if got := live(t, b, r, "x/y"); got != "x/y" {
				t.Errorf("v%d: %q came after the client's own filter had gone", version, got)
			}
			r.send(subscribePacket(1, 0, "x/+"))
			r.expect(packets.Suback)
			unsubscribe(r, "x/+/#", "y")
			if got := live(t, b, r, "x/y", "x/y/z", "y"); got != "x/y" {
				t.Errorf("v%d: %q came, want the client's own filter to stay", version, got)
			}
			unsubscribe(r, "x/+")
			if n := b.Stats().Subscriptions; n != 0 {
				t.Errorf("v%d: %d subscriptions are left", version, n)
			}
		})
	}
}
