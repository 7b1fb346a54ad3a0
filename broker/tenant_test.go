package broker_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// TestTenantsDoNotMeet: what one tenant says the other cannot hear, whatever it
// subscribes to, nor the hub.
func TestTenantsDoNotMeet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t, withAuth(authority(t, people())))
		seen := brokertest.NewInbox()
		for _, filter := range []string{"#", "+/#", "@acme/#", "+/device/mill/status"} {
			if _, err := b.Subscribe(filter, seen.Put); err != nil {
				t.Fatal(err)
			}
		}
		ann := dial(t, b, 5, "ann", as("ann"))
		ann.send(subscribePacket(1, 1, "#", "+/#", "$share/g/#", "+/device/mill/status", "+/+/+/#"))
		for _, code := range ann.expect(packets.Suback).ReasonCodes {
			if code != 1 {
				t.Errorf("SUBACK %#x", code)
			}
		}
		eve := dial(t, b, 5, "eve", as("eve"))
		eve.send(subscribePacket(1, 1, "tacet/device/mill/status"))
		eve.expect(packets.Suback)

		mill := dial(t, b, 5, "mill", as("mill"), withWill("tacet/device/mill/status", "gone", true))
		pk := publishPacket("tacet/device/mill/status", "here", 1, 1)
		pk.FixedHeader.Retain = true
		mill.send(pk)
		mill.expect(packets.Puback)
		for _, want := range []string{"here", "gone"} {
			got := eve.expect(packets.Publish)
			if got.TopicName != "tacet/device/mill/status" || string(got.Payload) != want {
				t.Errorf("eve got %s %q, want %q", got.TopicName, got.Payload, want)
			}
			eve.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: got.PacketID})
			_ = mill.Close()
		}
		if err := b.Publish(t.Context(), area.Message{Topic: "@acme/x", Payload: []byte("x")}); area.CodeOf(err) != area.CodeInvalid {
			t.Errorf("the hub publishes in a tenant: %v", err)
		}
		ann.send(subscribePacket(2, 1, "#"))
		ann.expect(packets.Suback)
		ann.alive() // with nothing before the answer: neither live nor retained
		synctest.Wait()
		if n := seen.Len(); n != 0 || len(b.Retained("#", 0)) != 0 || len(b.Retained("@acme/#", 0)) != 0 {
			t.Errorf("the hub has seen %d, and finds %v", n, b.Retained("#", 0))
		}
	})
}

// TestSameNamesInTwoTenants: client ids and topics of two tenants are two.
func TestSameNamesInTwoTenants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := people()
		cfg.Users[0].Name, cfg.Users[5].Name = "a", "b"
		b := brokertest.New(t, withAuth(authority(t, cfg)))
		for version := byte(4); version <= 5; version++ {
			x := dial(t, b, version, "a:1", as("a"))
			y := dial(t, b, version, "b:1", as("b"))
			for _, r := range []*raw{x, y} {
				r.send(subscribePacket(1, 1, "tacet/group/g/+", "$share/s/tacet/group/h/#"))
				if got := r.expect(packets.Suback).ReasonCodes; len(got) != 2 || got[0] != 1 || got[1] != 1 {
					t.Errorf("SUBACK %x", got)
				}
			}
			for i, r := range []*raw{x, y} {
				text := strings.Repeat("x", 200-i) // the header of the packet shrinks as the prefix comes off
				for id, topic := range []string{"tacet/group/g/e", "tacet/group/h/e"} {
					r.send(publishPacket(topic, text, 1, uint16(id+1)))
					var got packets.Packet
					for range 2 {
						pk, err := r.recv()
						if err != nil {
							t.Fatal(err)
						}
						if pk.FixedHeader.Type == packets.Publish {
							got = pk
						}
					}
					if got.TopicName != topic || string(got.Payload) != text {
						t.Errorf("v%d: %s with %d bytes came back, want %s with %d", version, got.TopicName, len(got.Payload), topic, len(text))
					}
				}
			}
			x.alive()
			y.alive()
			y.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe}, PacketID: 3,
				Filters: packets.Subscriptions{{Filter: "tacet/group/g/+"}, {Filter: "$share/s/tacet/group/h/#"}, {Filter: "nothing"}}})
			ack := y.expect(packets.Unsuback)
			if version == 5 && (len(ack.ReasonCodes) != 3 || ack.ReasonCodes[0] != 0 || ack.ReasonCodes[1] != 0 || ack.ReasonCodes[2] != 0x11) {
				t.Errorf("UNSUBACK %x", ack.ReasonCodes)
			}
			if n := b.Stats().Subscriptions; n != 2 {
				t.Errorf("v%d: %d subscriptions left, want 2", version, n)
			}
			_, _ = x.Close(), y.Close()
			synctest.Wait()
		}
	})
}

// TestTenantsRequestAndResponse: a response topic is bare, and is read in the
// tenant of who wrote it.
func TestTenantsRequestAndResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t, withAuth(authority(t, people())))
		ask, answer := dial(t, b, 5, "eve:ask", as("eve")), dial(t, b, 5, "eve:answer", as("eve"))
		for r, filter := range map[*raw]string{ask: "reply/+", answer: "question"} {
			r.send(subscribePacket(1, 0, filter))
			r.expect(packets.Suback)
		}
		pk := publishPacket("question", "?", 0, 0)
		pk.Properties.ResponseTopic, pk.Properties.CorrelationData = "reply/1", []byte("c")
		ask.send(pk)
		got := answer.expect(packets.Publish)
		if got.Properties.ResponseTopic != "reply/1" || got.TopicName != "question" {
			t.Fatalf("%s, response topic %q", got.TopicName, got.Properties.ResponseTopic)
		}
		answer.send(publishPacket(got.Properties.ResponseTopic, "!", 0, 0))
		if back := ask.expect(packets.Publish); back.TopicName != "reply/1" || string(back.Payload) != "!" {
			t.Errorf("%s %q", back.TopicName, back.Payload)
		}
	})
}

// TestTenantsSessionWaits: a queue is replayed with bare topics, in order.
func TestTenantsSessionWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t, withAuth(authority(t, people())))
		r := dial(t, b, 4, "mill", as("mill"), keep)
		r.send(subscribePacket(1, 1, "tacet/area/north/#"))
		r.expect(packets.Suback)
		_ = r.Close()
		eve := dial(t, b, 5, "eve", as("eve"))
		for i := range 5 {
			eve.send(publishPacket("tacet/area/north/submit", strings.Repeat("x", i), 1, uint16(i+1)))
			eve.expect(packets.Puback)
		}
		synctest.Wait()
		publish(t, b, area.Message{Topic: "tacet/area/north/busy", Payload: []byte("another tenant's"), QoS: 1})
		again := newRaw(t, b.Pipe(t), 4)
		if ack := again.connect("mill", as("mill"), keep); !ack.SessionPresent {
			t.Fatal("no session")
		}
		for i := range 5 {
			if pk := again.expect(packets.Publish); pk.TopicName != "tacet/area/north/submit" || len(pk.Payload) != i {
				t.Errorf("message %d: %s with %d bytes", i, pk.TopicName, len(pk.Payload))
			}
		}
		again.alive()
	})
}

// TestLongestTopicInATenant: the prefix does not count.
func TestLongestTopicInATenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t, withAuth(authority(t, people())))
		r := dial(t, b, 5, "eve", as("eve"))
		for _, topic := range []string{strings.Repeat("x", 512), strings.Repeat("x/", 15) + "x"} {
			r.send(subscribePacket(1, 0, topic))
			if code := r.expect(packets.Suback).ReasonCodes[0]; code != 0 {
				t.Errorf("SUBACK %#x", code)
			}
			r.send(publishPacket(topic, "x", 0, 0))
			if pk := r.expect(packets.Publish); pk.TopicName != topic {
				t.Errorf("%d bytes came, want %d", len(pk.TopicName), len(topic))
			}
		}
		r.send(subscribePacket(1, 0, strings.Repeat("x", 513)))
		if code := r.expect(packets.Suback).ReasonCodes[0]; code != 0x8f {
			t.Errorf("SUBACK %#x, want 0x8f", code)
		}
	})
}
