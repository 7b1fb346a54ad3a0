package broker_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

func TestDelayedWill(t *testing.T) {
	session := func(seconds uint32) func(*packets.Packet) {
		return func(pk *packets.Packet) {
			pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = seconds, true
		}
	}
	delayed := func(pk *packets.Packet) {
		withWill("w", "gone", true)(pk)
		pk.Connect.WillProperties.WillDelayInterval = 20
	}
	for name, c := range map[string]struct {
		session uint32
		after   time.Duration
		back    []func(*packets.Packet) // nil: stays away
		want    time.Duration           // less than 0: never
	}{
		"alone":                 {60, time.Minute, nil, 20 * time.Second},
		"session ends before":   {5, time.Minute, nil, 5 * time.Second},
		"no session":            {0, time.Minute, nil, 0},
		"back in time":          {60, 10 * time.Second, []func(*packets.Packet){session(60), func(pk *packets.Packet) { pk.Connect.Clean = false }}, -1},
		"back with new session": {60, 10 * time.Second, []func(*packets.Packet){session(60)}, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := brokertest.New(t)
				came, start := time.Duration(-1), time.Now()
				if _, err := b.Subscribe("w", func(m area.Message) {
					came = time.Since(start)
					if !m.Will || m.From != "gate-1" {
						t.Errorf("will %+v", m)
					}
				}); err != nil {
					t.Fatal(err)
				}
				r := dial(t, b, 5, "gate-1", session(c.session), delayed)
				_ = r.Close()
				time.Sleep(c.after)
				if c.back != nil {
					dial(t, b, 5, "gate-1", c.back...)
					time.Sleep(time.Second * 25)
				}
				synctest.Wait()
				if came != c.want || (len(b.Retained("w", 0)) == 1) != (c.want >= 0) {
					t.Errorf("will after %s, retained %v; want %s", came, b.Retained("w", 0), c.want)
				}
			})
		})
	}
}

// TestPacketIDsOfBothSides is row 16: a SUBSCRIBE and a PUBLISH whose ids are
// those of messages on their way to the client.
func TestPacketIDsOfBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		seen := subscribe(t, b, "out")
		r := dial(t, b, 4, "gate-1")
		r.send(subscribePacket(1, 1, "in"))
		r.expect(packets.Suback)
		publish(t, b, area.Message{Topic: "in", Payload: []byte("x"), QoS: 1}, area.Message{Topic: "in", Payload: []byte("y"), QoS: 1})
		first, second := r.expect(packets.Publish), r.expect(packets.Publish)
		r.send(subscribePacket(first.PacketID, 1, "other"))
		if ack := r.expect(packets.Suback); ack.PacketID != first.PacketID || ack.ReasonCodes[0] != 1 {
			t.Errorf("SUBACK for %d: %#x", ack.PacketID, ack.ReasonCodes)
		}
		r.send(publishPacket("out", "z", 2, second.PacketID))
		if rec := r.expect(packets.Pubrec); rec.PacketID != second.PacketID {
			t.Errorf("PUBREC for %d, want %d", rec.PacketID, second.PacketID)
		}
		if n := b.Stats().Queued; n != 3 {
			t.Errorf("%d in flight, want both of ours and the client's", n)
		}
		r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel}, PacketID: second.PacketID})
		r.expect(packets.Pubcomp)
		for _, pk := range []packets.Packet{first, second} {
			r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: pk.PacketID})
		}
		r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe}, PacketID: 1, Filters: packets.Subscriptions{{Filter: "in"}}})
		if ack := r.expect(packets.Unsuback); ack.PacketID != 1 {
			t.Errorf("UNSUBACK for %d", ack.PacketID)
		}
		seen.Take(t, 1)
		if n := b.Stats().Queued; n != 0 {
			t.Errorf("%d in flight, want none", n)
		}
	})
}

// TestPacketIDsFromAbove: a client that counts from 32,768 meets those of the
// library, which counts from 1, in spite of their being moved.
func TestPacketIDsFromAbove(t *testing.T) {
	for _, version := range []byte{4, 5} {
		synctest.Test(t, func(t *testing.T) {
			b := brokertest.New(t)
			seen := subscribe(t, b, "out")
			r := dial(t, b, version, "gate-1")
			r.send(subscribePacket(1, 2, "in"))
			r.expect(packets.Suback)
			numbered(t, b, "in", 1, 0, 3)
			first := r.burst()
			if len(first) != 3 || first[0].PacketID != 1 {
				t.Fatalf("%d came, the first as %d", len(first), first[0].PacketID)
			}
			r.send(subscribePacket(32768, 1, "a", "a/+/#"))
			if ack := r.expect(packets.Suback); ack.PacketID != 32768 || string(ack.ReasonCodes) != "\x01\x01" {
				t.Errorf("SUBACK for %d: %#x", ack.PacketID, ack.ReasonCodes)
			}
			r.send(publishPacket("out", "q1", 1, 32769))
			if ack := r.expect(packets.Puback); ack.PacketID != 32769 || ack.ReasonCode != 0 {
				t.Errorf("PUBACK for %d: %#x", ack.PacketID, ack.ReasonCode)
			}
			for _, id := range []uint16{32768, 32770, 32767} { // the last is where the first was moved to
				r.send(publishPacket("out", "q2", 2, id))
				if rec := r.expect(packets.Pubrec); rec.PacketID != id || rec.ReasonCode != 0 {
					t.Errorf("PUBREC for %d: %#x, want %d", rec.PacketID, rec.ReasonCode, id)
				}
			}
			r.send(publishPacket("out", "q2", 2, 32768)) // again
			if rec := r.expect(packets.Pubrec); rec.PacketID != 32768 || rec.ReasonCode != 0 {
				t.Errorf("PUBREC for %d: %#x", rec.PacketID, rec.ReasonCode)
			}
			for _, id := range []uint16{32768, 32770, 32767} {
				r.ack(packets.Pubrel, id)
				if comp := r.expect(packets.Pubcomp); comp.PacketID != id || comp.ReasonCode != 0 {
					t.Errorf("PUBCOMP for %d: %#x, want %d", comp.PacketID, comp.ReasonCode, id)
				}
			}
			if got := seen.Take(t, 4); string(got[0].Payload) != "q1" || seen.Len() != 0 {
				t.Errorf("%s came first, and %d more than 4", got[0].Payload, seen.Len())
			}
			for _, pk := range first {
				r.finish(pk)
			}
			r.alive()
			if n := b.Stats().Queued; n != 0 {
				t.Errorf("%d in flight, want none", n)
			}
		})
	}
}

func TestQueueOfAbsentClientStaysInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		b.SetLastMessage(1<<16 - 100) // the library compares 16 bits
		keep := func(pk *packets.Packet) { pk.Connect.Clean = false }
		r := dial(t, b, 4, "gate-1", keep)
		r.send(subscribePacket(1, 1, "in"))
		r.expect(packets.Suback)
		_ = r.Close()
		synctest.Wait()
		next, sent := 0, 0
		for range 2 { // the second half waits over two absences, and all is less than a replay has on its way at once
			for range 120 {
				publish(t, b, area.Message{Topic: "in", Payload: fmt.Append(nil, sent), QoS: 1})
				sent++
			}
			r = newRaw(t, b.Pipe(t), 4)
			if ack := r.connect("gate-1", keep); !ack.SessionPresent {
				t.Fatal("no session")
			}
			for next = range sent {
				if pk := r.expect(packets.Publish); string(pk.Payload) != fmt.Sprint(next) {
					t.Fatalf("%s came, want %d", pk.Payload, next)
				}
			}
			_ = r.Close() // nothing acknowledged
			synctest.Wait()
		}
	})
}

func TestExpiredSessionLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t, func(c *broker.Config) { c.SessionExpiry = time.Minute })
		r := dial(t, b, 4, "gate-1", func(pk *packets.Packet) { pk.Connect.Clean = false })
		r.send(subscribePacket(1, 1, "in", "in/#"))
		r.expect(packets.Suback)
		_ = r.Close()
		synctest.Wait()
		publish(t, b, area.Message{Topic: "in", Payload: []byte("x"), QoS: 1})
		if st := b.Stats(); st.Sessions != 1 || st.Subscriptions != 2 || st.Queued != 1 {
			t.Errorf("before: %+v", st)
		}
		time.Sleep(2 * time.Minute)
		if st := b.Stats(); st.Sessions != 0 || st.Subscriptions != 0 || st.Queued != 0 {
			t.Errorf("after: %+v; want no session, subscription, message", st)
		}
	})
}

// TestNoAliasesGoOut is row 15: every message names its topic.
func TestNoAliasesGoOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		r := dial(t, b, 5, "gate-1", func(pk *packets.Packet) { pk.Properties.TopicAliasMaximum = 10 })
		r.send(subscribePacket(1, 1, "in"))
		r.expect(packets.Suback)
		publish(t, b, area.Message{Topic: "in"}, area.Message{Topic: "in"})
		for range 2 {
			if pk := r.expect(packets.Publish); pk.TopicName != "in" || pk.Properties.TopicAliasFlag {
				t.Errorf("topic %q, alias %d", pk.TopicName, pk.Properties.TopicAlias)
			}
		}
	})
}
