package broker_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// TestRetainedReplayLosesNothing is row 21: whatever is retained reaches a new
// subscriber, at the rate at which it reads, with a short output.
func TestRetainedReplayLosesNothing(t *testing.T) {
	b := overTCP(t, broker.Config{MaxOutputBytes: 32 << 10}, silent)
	total := 0
	for _, n := range []int{10_000, 50_000} {
		qos := 1
		if n > 10_000 {
			qos = 0 // acknowledging 50,000 takes long on a busy machine
		}
		for ; total < n; total++ {
			publish(t, b, area.Message{Topic: fmt.Sprint("state/", total%100, "/", total), Payload: fmt.Append(nil, total), QoS: 1, Retain: true})
		}
		r := dialTCP(t, b, 4)
		_ = r.SetDeadline(noDeadline)
		r.connect("gate-1", func(pk *packets.Packet) { pk.Connect.Keepalive = 0 })
		r.send(subscribePacket(1, byte(qos), "state/#"))
		r.expect(packets.Suback)
		seen := make([]bool, n)
		for range n {
			pk := r.expect(packets.Publish)
			var i int
			if _, err := fmt.Sscan(string(pk.Payload), &i); err != nil || seen[i] || !pk.FixedHeader.Retain || int(pk.FixedHeader.Qos) != qos {
				t.Fatalf("%d retained: %s on %s, QoS %d, retain %t, before: %t", n, pk.Payload, pk.TopicName, pk.FixedHeader.Qos, pk.FixedHeader.Retain, seen[i])
			}
			seen[i] = true
			if qos > 0 {
				r.ack(packets.Puback, pk.PacketID)
			}
		}
		r.alive()
		goodbye(t, b, r)
	}
	if st := b.Stats(); st.DroppedMessages+st.DroppedQueued+st.SlowConsumers != 0 {
		t.Errorf("stats %+v; want nothing dropped, nobody cut", st)
	}
}

func retainedNow(r *raw, change func(*packets.Subscription), filters ...string) (topics []string) {
	r.t.Helper()
	pk := subscribePacket(7, 1, filters...)
	for i := range pk.Filters {
		change(&pk.Filters[i])
	}
	r.send(pk)
	if ack := r.expect(packets.Suback); len(ack.ReasonCodes) != len(filters) {
		r.t.Fatalf("%d codes for %d filters", len(ack.ReasonCodes), len(filters))
	}
	for _, pk := range r.burst() {
		topics = append(topics, pk.TopicName)
		r.ack(packets.Puback, pk.PacketID)
	}
	slices.Sort(topics)
	return topics
}

func plain(*packets.Subscription) {}

func TestRetainedOfFilters(t *testing.T) {
	for filter, want := range map[string]string{
		"a/#": "a a/b a/b/c", "a": "a", "+": "a d", "+/#": "a a/b a/b/c d", "a/+/#": "a/b a/b/c", "#": "a a/b a/b/c d",
		"x/#": "", "$share/g/a": "", "a/b/c/#": "a/b/c", "+/+/+/#": "a/b/c",
	} {
		t.Run(filter, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := brokertest.New(t)
				for _, topic := range []string{"a", "a/b", "a/b/c", "d"} {
					publish(t, b, area.Message{Topic: topic, Payload: []byte("x"), QoS: 1, Retain: true})
				}
				if got := strings.Join(retainedNow(dial(t, b, 5, "gate-1"), plain, filter), " "); got != want {
					t.Errorf("%q came, want %q", got, want)
				}
			})
		})
	}
}

func TestRetainHandling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		publish(t, b, area.Message{Topic: "a", Payload: []byte("x"), QoS: 1, Retain: true})
		r := dial(t, b, 5, "gate-1")
		for i, c := range []struct {
			handling byte
			want     int
		}{{2, 0}, {0, 1}, {0, 1}, {1, 0}, {2, 0}} {
			got := retainedNow(r, func(s *packets.Subscription) { s.RetainHandling = c.handling }, "a")
			if len(got) != c.want {
				t.Errorf("%d: %v came for retain handling %d, want %d", i, got, c.handling, c.want)
			}
		}
		if got := retainedNow(dial(t, b, 5, "gate-2"), func(s *packets.Subscription) { s.RetainHandling = 1 }, "a"); len(got) != 1 {
			t.Errorf("%v came for a new subscription", got)
		}
	})
}

// TestRetainedReplayEndsWithUnsubscribe: after UNSUBACK nothing is begun.
func TestRetainedReplayEndsWithUnsubscribe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		for i := range 1000 {
			publish(t, b, area.Message{Topic: fmt.Sprint("a/", i), Payload: []byte("x"), QoS: 1, Retain: true})
		}
		r := dial(t, b, 5, "gate-1")
		r.send(subscribePacket(1, 1, "a/#", "a/1"))
		r.expect(packets.Suback)
		first := r.burst()
		r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe}, PacketID: 2, Filters: packets.Subscriptions{{Filter: "a/#"}}})
		r.expect(packets.Unsuback)
		for _, pk := range first {
			r.ack(packets.Puback, pk.PacketID)
		}
		if rest := r.burst(); len(first) != 256 || len(rest) != 1 || rest[0].TopicName != "a/1" {
			t.Errorf("%d came before, %d after; want 256, and that of the other filter", len(first), len(rest))
		}
	})
}
