package broker_test

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// keeping is a CONNECT whose session outlives the connection.
func keeping(pk *packets.Packet) {
	pk.Connect.Clean = false
	pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = 3600, true
}

func allowing(most uint16) func(*packets.Packet) {
	return func(pk *packets.Packet) { pk.Properties.ReceiveMaximum = most }
}

func (r *raw) ack(kind byte, id uint16) {
	r.t.Helper()
	r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: kind}, PacketID: id})
}

// resume connects again to a session that is there.
func resume(t testing.TB, b *brokertest.Broker, version byte, id string, change ...func(*packets.Packet)) *raw {
	t.Helper()
	r := newRaw(t, b.Pipe(t), version)
	if ack := r.connect(id, append(change, keeping)...); ack.ReasonCode != 0 || !ack.SessionPresent {
		t.Fatalf("CONNACK %#x, session present %t", ack.ReasonCode, ack.SessionPresent)
	}
	return r
}

// numbered publishes messages whose payloads count.
func numbered(t testing.TB, b *brokertest.Broker, topic string, qos byte, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		publish(t, b, area.Message{Topic: topic, Payload: fmt.Append(nil, i), QoS: qos})
	}
}

// burst reads what comes until nothing more does.
func (r *raw) burst() (all []packets.Packet) {
	r.t.Helper()
	for {
		_ = r.SetReadDeadline(time.Now().Add(time.Second)) // of the bubble's time: when all is still
		pk, err := r.recv()
		_ = r.SetReadDeadline(noDeadline)
		if err != nil {
			return all
		}
		all = append(all, pk)
	}
}

// finish acknowledges a message to the end.
func (r *raw) finish(pk packets.Packet) {
	r.t.Helper()
	if pk.FixedHeader.Qos == 1 {
		r.ack(packets.Puback, pk.PacketID)
		return
	}
	r.ack(packets.Pubrec, pk.PacketID)
	r.expect(packets.Pubrel)
	r.ack(packets.Pubcomp, pk.PacketID)
}

// consume acknowledges messages one by one until payload `to` is through, and
// checks that they come in order from payload `from`, that `open` at most are on
// their way, and that those below `seen` carry DUP. It answers what came and is
// not acknowledged.
func (r *raw) consume(from, to, open, seen int) []packets.Packet {
	r.t.Helper()
	next := from
	var window []packets.Packet
	for {
		for _, pk := range r.burst() {
			if string(pk.Payload) != fmt.Sprint(next) || pk.FixedHeader.Dup != (next < seen) {
				r.t.Fatalf("%s came, DUP %t; want %d, DUP %t", pk.Payload, pk.FixedHeader.Dup, next, next < seen)
			}
			next++
			window = append(window, pk)
		}
		if len(window) > open {
			r.t.Fatalf("%d on their way, at most %d allowed", len(window), open)
		}
		if next-len(window) == to {
			return window
		}
		if len(window) == 0 {
			r.t.Fatalf("nothing came after %d, want %d", next, to)
		}
		r.finish(window[0])
		window = window[1:]
	}
}

// TestReceiveMaximum is row 17: never more unacknowledged than the client
// allows, and all of it arrives, in order, live and over resumptions. DUP is
// set on what was sent before (row 18).
func TestReceiveMaximum(t *testing.T) {
	for _, qos := range []byte{1, 2} {
		t.Run(fmt.Sprint("qos ", qos), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := brokertest.New(t)
				r := dial(t, b, 5, "gate-1", keeping, allowing(20))
				r.send(subscribePacket(1, qos, "in"))
				r.expect(packets.Suback)
				numbered(t, b, "in", qos, 0, 300)
				r.consume(0, 150, 20, 0)
				_ = r.Close()
				synctest.Wait()
				numbered(t, b, "in", qos, 300, 320)
				r = resume(t, b, 5, "gate-1", allowing(7))
				r.consume(150, 200, 7, 170)
				_ = r.Close()
				synctest.Wait()
				r = resume(t, b, 5, "gate-1")
				r.consume(200, 320, 120, 207)
				if st := b.Stats(); st.Queued != 0 || st.Sent != 320+20+7 {
					t.Errorf("%d are left, %d sent; want none, 320 and 27 again", st.Queued, st.Sent)
				}
			})
		})
	}
}

// TestRefusedMessageMakesRoom: a client of MQTT 5 may refuse a QoS 2 message.
func TestRefusedMessageMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		r := dial(t, b, 5, "gate-1", allowing(1))
		r.send(subscribePacket(1, 2, "in"))
		r.expect(packets.Suback)
		numbered(t, b, "in", 2, 0, 3)
		first := r.expect(packets.Publish)
		r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrec}, PacketID: first.PacketID, ReasonCode: 0x97})
		r.consume(1, 3, 1, 0)
	})
}

// TestLongReplay: a queue of 10,000 that crosses the 16 bits by which the
// library sorts reaches a client of either protocol, in order, with never more
// than 256 on their way, and without its being taken for slow. What comes
// meanwhile comes after.
func TestLongReplay(t *testing.T) {
	const n = 10_000
	for _, version := range []byte{4, 5} {
		b := overTCP(t, broker.Config{MaxQueue: 20_000, MaxOutputBytes: 64 << 10}, silent)
		b.SetLastMessage(1<<16 - n/2)
		patient := func(pk *packets.Packet) { pk.Connect.Keepalive = 0 } // it may take long on a busy machine
		r := dialTCP(t, b, version)
		r.connect("gate-1", keeping)
		r.send(subscribePacket(1, 1, "in"))
		r.expect(packets.Suback)
		goodbye(t, b, r)
		payload := make([]byte, 200)
		put := func(from, to int) {
			for i := from; i < to; i++ {
				publish(t, b, area.Message{Topic: "in", Payload: append(fmt.Append(nil, i, " "), payload...), QoS: 1})
			}
		}
		put(0, n)
		r = dialTCP(t, b, version)
		_ = r.SetDeadline(noDeadline)
		if ack := r.connect("gate-1", keeping, patient); !ack.SessionPresent {
			t.Fatal("no session")
		}
		put(n, n+500)
		var ids []uint16
		for i := range n + 500 {
			pk := r.expect(packets.Publish)
			if got, _, _ := bytes.Cut(pk.Payload, []byte(" ")); string(got) != fmt.Sprint(i) || pk.FixedHeader.Dup {
				t.Fatalf("version %d: %s came, DUP %t; want %d", version, got, pk.FixedHeader.Dup, i)
			}
			if ids = append(ids, pk.PacketID); len(ids) == 256 || i == n+499 {
				for _, id := range ids {
					r.ack(packets.Puback, id)
				}
				ids = ids[:0]
			}
		}
		r.alive()
		if st := b.Stats(); st.SlowConsumers != 0 || st.DroppedQueued != 0 || st.Queued != 0 {
			t.Errorf("version %d: %+v; want no slow consumer, nothing dropped, nothing left", version, st)
		}
	}
}

// goodbye ends a connection and waits until the broker knows.
func goodbye(t testing.TB, b *broker.Broker, r *raw) {
	t.Helper()
	gone := make(chan struct{})
	cancel := b.Connections(func(e broker.ConnEvent) {
		if !e.Up {
			close(gone)
		}
	})
	defer cancel()
	_ = r.Close()
	<-gone
}
