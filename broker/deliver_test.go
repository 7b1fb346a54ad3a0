package broker_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// TestDeliveryOptions is what the options of a subscription do to a message.
func TestDeliveryOptions(t *testing.T) {
	type sub = packets.Subscription
	for name, c := range map[string]struct {
		version byte
		subs    []sub
		id      int // subscription identifier
		qos     byte
		retain  bool
		own     bool // published by the subscriber
		want    int
		wantQoS byte
		kept    bool // the retain flag of what comes
		ids     []int
	}{
		"plain":                    {version: 5, subs: []sub{{Filter: "a", Qos: 1}}, qos: 2, want: 1, wantQoS: 1},
		"lower than asked for":     {version: 4, subs: []sub{{Filter: "a", Qos: 2}}, qos: 0, want: 1, wantQoS: 0},
		"retained":                 {version: 5, subs: []sub{{Filter: "a"}}, retain: true, want: 1},
		"retained as published":    {version: 5, subs: []sub{{Filter: "a", RetainAsPublished: true}}, retain: true, want: 1, kept: true},
		"retained, 3.1.1":          {version: 4, subs: []sub{{Filter: "a"}}, retain: true, want: 1},
		"overlapping":              {version: 5, subs: []sub{{Filter: "a", Qos: 1}, {Filter: "#", Qos: 2}}, id: 7, qos: 2, want: 1, wantQoS: 2, ids: []int{7, 7}},
		"identifier":               {version: 5, subs: []sub{{Filter: "+", Qos: 1}}, id: 300, qos: 1, want: 1, wantQoS: 1, ids: []int{300}},
		"own":                      {version: 5, subs: []sub{{Filter: "a"}}, own: true, want: 1},
		"own, no local":            {version: 5, subs: []sub{{Filter: "a", NoLocal: true}}, own: true, want: 0},
		"somebody else's no local": {version: 5, subs: []sub{{Filter: "a", NoLocal: true}}, want: 1},
		"shared and plain":         {version: 5, subs: []sub{{Filter: "$share/g/a", Qos: 2}, {Filter: "a", Qos: 1}}, qos: 2, want: 1, wantQoS: 2},
		"shared alone":             {version: 5, subs: []sub{{Filter: "$share/g/+", Qos: 1}}, id: 3, qos: 1, want: 1, wantQoS: 1, ids: []int{3}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := brokertest.New(t)
				r, other := dial(t, b, c.version, "gate-1"), dial(t, b, 5, "gate-2")
				pk := subscribePacket(1, 0)
				pk.Filters = c.subs
				if c.id > 0 {
					pk.Properties.SubscriptionIdentifier = []int{c.id}
				}
				r.send(pk)
				r.expect(packets.Suback)
				by := other
				if c.own {
					by = r
				}
				m := publishPacket("a", "x", c.qos, 9)
				m.FixedHeader.Retain = c.retain
				m.Properties.User = []packets.UserProperty{{Key: "k", Val: "v"}}
				by.send(m)
				var got []packets.Packet
				for _, pk := range r.burst() {
					if pk.FixedHeader.Type == packets.Publish {
						got = append(got, pk)
					}
				}
				if len(got) != c.want {
					t.Fatalf("%d came, want %d", len(got), c.want)
				}
				for _, pk := range got {
					if pk.FixedHeader.Qos != c.wantQoS || pk.FixedHeader.Retain != c.kept || !slices.Equal(pk.Properties.SubscriptionIdentifier, c.ids) {
						t.Errorf("QoS %d, retain %t, identifiers %d; want %d, %t, %d", pk.FixedHeader.Qos, pk.FixedHeader.Retain, pk.Properties.SubscriptionIdentifier, c.wantQoS, c.kept, c.ids)
					}
					if c.version == 5 && len(pk.Properties.User) != 1 {
						t.Errorf("properties %+v", pk.Properties)
					}
				}
			})
		})
	}
}

// TestAcknowledgedIsInEveryQueue: whoever has PUBACK may end.
func TestAcknowledgedIsInEveryQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		r := dial(t, b, 4, "gate-1", keeping)
		r.send(subscribePacket(1, 1, "in"))
		r.expect(packets.Suback)
		r.send(publishPacket("in", "x", 1, 9))
		if first, second := r.expect(packets.Publish), r.expect(packets.Puback); first.PacketID == 0 || second.PacketID != 9 {
			t.Errorf("message %d, acknowledgement %d", first.PacketID, second.PacketID)
		}
	})
}

// TestSubscriptionsCountAtOnce: who subscribes to a topic is kept, and known
// anew as soon as one is told that it has.
func TestSubscriptionsCountAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		r := dial(t, b, 5, "gate-1")
		for range 3 {
			publish(t, b, area.Message{Topic: "a"})
			r.send(subscribePacket(1, 0, "a"))
			r.expect(packets.Suback)
			publish(t, b, area.Message{Topic: "a"})
			r.expect(packets.Publish)
			in := brokertest.NewInbox()
			cancel, err := b.Subscribe("a", in.Put)
			if err != nil {
				t.Fatal(err)
			}
			publish(t, b, area.Message{Topic: "a"})
			r.expect(packets.Publish)
			in.Take(t, 1)
			cancel()
			unsubscribe(r, "a")
			publish(t, b, area.Message{Topic: "a"})
			r.alive()
			if in.Len() != 0 {
				t.Error("a message came after the end of the subscription")
			}
		}
	})
}

// TestFloodLosesNothing: many publish as fast as they can to one that reads, by
// both ways out, and nothing of QoS 1 or 0 is lost, doubled or out of order.
func TestFloodLosesNothing(t *testing.T) {
	const publishers, each = 20, 500
	b := overTCP(t, broker.Config{MaxQueue: 65535}, silent)
	for qos := range byte(2) {
		r := dialTCP(t, b, 4)
		_ = r.SetDeadline(noDeadline)
		r.connect("reader", func(pk *packets.Packet) { pk.Connect.Keepalive = 0 })
		r.send(subscribePacket(1, qos, "in/+"))
		r.expect(packets.Suback)
		var work sync.WaitGroup
		for p := range publishers {
			w := dialTCP(t, b, 4)
			_ = w.SetDeadline(noDeadline)
			w.connect(fmt.Sprint("writer-", p), func(pk *packets.Packet) { pk.Connect.Keepalive = 0 })
			work.Go(func() {
				for i := range each {
					w.send(publishPacket(fmt.Sprint("in/", p), fmt.Sprint(i), qos, uint16(i+1)*uint16(qos)))
				}
				for range each * int(qos) {
					if pk, err := w.recv(); err != nil || pk.FixedHeader.Type != packets.Puback {
						t.Errorf("writer %d: %v", p, err)
						return
					}
				}
			})
		}
		next := make([]int, publishers)
		for range publishers * each {
			pk := r.expect(packets.Publish)
			var p int
			if _, err := fmt.Sscanf(pk.TopicName, "in/%d", &p); err != nil || string(pk.Payload) != fmt.Sprint(next[p]) {
				t.Fatalf("QoS %d: %s on %s, want %d", qos, pk.Payload, pk.TopicName, next[p])
			}
			next[p]++
			if qos > 0 {
				r.ack(packets.Puback, pk.PacketID)
			}
		}
		work.Wait()
		r.alive()
		goodbye(t, b, r)
	}
	if st := b.Stats(); st.DroppedMessages+st.DroppedQueued+st.SlowConsumers != 0 {
		t.Errorf("%d dropped, %d dropped from queues, %d slow; want none", st.DroppedMessages, st.DroppedQueued, st.SlowConsumers)
	}
}
