package broker_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// bytesOf is packets as a client writes them.
func bytesOf(t testing.TB, version byte, list ...packets.Packet) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, pk := range list {
		pk.ProtocolVersion = version
		encode := pk.PublishEncode
		switch pk.FixedHeader.Type {
		case packets.Pingreq:
			encode = pk.PingreqEncode
		case packets.Subscribe:
			pk.FixedHeader.Qos = 1
			encode = pk.SubscribeEncode
		}
		if err := encode(&b); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// TestWaysInDoNotOvertake: what a client publishes comes in its order and whole,
// whichever way each message takes and wherever the bytes are cut.
func TestWaysInDoNotOvertake(t *testing.T) {
	ping := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}}
	for _, version := range []byte{4, 5} {
		var list []packets.Packet
		var want []string
		for n := range 300 {
			text := fmt.Sprint(n, strings.Repeat("x", n%200))
			pk := publishPacket(fmt.Sprint("plant/", n%3), text, 0, 0)
			switch n % 11 {
			case 3:
				pk.FixedHeader.Qos, pk.PacketID = 1, uint16(n+1)
			case 5:
				pk.FixedHeader.Retain = true
			case 7:
				pk.Properties.ContentType = "text/plain" // of MQTT 5 alone
			case 8:
				pk.Payload, text = nil, ""
			case 9:
				list = append(list, ping)
			case 10:
				text = strings.Repeat("y", 20_000) // more than is read at once
				pk.Payload = []byte(text)
			}
			list, want = append(list, pk), append(want, pk.TopicName+" "+text)
		}
		all := bytesOf(t, version, list...)
		for _, cut := range []int{13, 100, 8192, len(all)} {
			b := overTCP(t, broker.Config{}, silent)
			seen := brokertest.NewInbox()
			if _, err := b.Subscribe("plant/#", seen.Put); err != nil {
				t.Fatal(err)
			}
			r := dialTCP(t, b, version)
			r.connect("sensor")
			sending := make(chan struct{})
			go func() {
				defer close(sending)
				for part := range slices.Chunk(all, cut) {
					_, _ = r.Write(part)
				}
			}()
			var got []string
			for _, m := range seen.Take(t, len(want)) {
				got = append(got, m.Topic+" "+string(m.Payload))
				if m.From != "sensor" || m.Conn == 0 {
					t.Fatalf("from %q, connection %d", m.From, m.Conn)
				}
			}
			if i := firstDifference(got, want); i >= 0 {
				t.Errorf("version %d, cut at %d: message %d is %.40q, want %.40q", version, cut, i, got[i], want[i])
			}
			<-sending
			for n := 0; n < 300/11; n++ {
				for r.expectOne(packets.Puback, packets.Pingresp) != packets.Pingresp {
				}
			}
			if s := b.Stats(); s.Received != int64(len(want)) {
				t.Errorf("version %d: %d received, want %d", version, s.Received, len(want))
			}
		}
	}
}

func firstDifference(got, want []string) int {
	for i := range got {
		if got[i] != want[i] {
			return i
		}
	}
	return -1
}

// expectOne reads a packet of one of the kinds.
func (r *raw) expectOne(kinds ...byte) byte {
	r.t.Helper()
	pk, err := r.recv()
	if err != nil || !slices.Contains(kinds, pk.FixedHeader.Type) {
		r.t.Fatalf("got %s, %v", packets.PacketNames[pk.FixedHeader.Type], err)
	}
	return pk.FixedHeader.Type
}

// TestSubscribersOfTheShortWay: clients get what comes by it by the rules of their
// subscriptions, which may change between two messages.
func TestSubscribersOfTheShortWay(t *testing.T) {
	b := overTCP(t, broker.Config{}, silent)
	r, other := dialTCP(t, b, 5), dialTCP(t, b, 4)
	r.connect("sensor")
	other.connect("other")
	other.send(subscribePacket(1, 1, "a/#", "$share/g/b"))
	other.expect(packets.Suback)
	own := subscribePacket(7, 0, "a/1", "a/own")
	own.Filters[1].NoLocal = true
	list := []packets.Packet{
		publishPacket("a/1", "before", 0, 0), own, publishPacket("a/1", "after", 0, 0), publishPacket("a/own", "mine", 0, 0), publishPacket("b", "shared", 0, 0),
	}
	if _, err := r.Write(bytesOf(t, 5, list...)); err != nil {
		t.Fatal(err)
	}
	r.expect(packets.Suback)
	if pk := r.expect(packets.Publish); string(pk.Payload) != "after" {
		t.Errorf("the sensor got %q, want what came after its SUBSCRIBE", pk.Payload)
	}
	r.alive()
	for _, want := range []string{"before", "after", "mine", "shared"} {
		if pk := other.expect(packets.Publish); string(pk.Payload) != want || pk.FixedHeader.Qos != 0 {
			t.Errorf("the other got %q of QoS %d, want %q", pk.Payload, pk.FixedHeader.Qos, want)
		}
	}
}

// TestShortWayRefusesNothingItself: what may not be published is refused and
// counted as ever, after something that may.
func TestShortWayRefusesNothingItself(t *testing.T) {
	for name, c := range map[string]struct {
		topic   string
		size    int
		ends    bool
		counted func(broker.Stats) int64
	}{
		"of the hub": {topic: "tacet/area/north/busy", counted: func(s broker.Stats) int64 { return s.RefusedMessages }},
		"no right":   {topic: "plant/secret/x", counted: func(s broker.Stats) int64 { return s.RefusedMessages }},
		"gated":      {topic: "plant/gated", counted: func(s broker.Stats) int64 { return s.GatedMessages }},
		"wildcard":   {topic: "plant/+", ends: true, counted: func(s broker.Stats) int64 { return s.InvalidTopics }},
		"too deep":   {topic: "plant" + strings.Repeat("/x", 40), ends: true, counted: func(s broker.Stats) int64 { return s.InvalidTopics }},
		"too large":  {topic: "plant/x", size: 4000, ends: true, counted: func(s broker.Stats) int64 { return s.TooLarge }},
		"no text":    {topic: "plant/\xff", ends: true, counted: func(broker.Stats) int64 { return 1 }},
		"nothing":    {topic: "", ends: true, counted: func(broker.Stats) int64 { return 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			b := overTCP(t, broker.Config{Auth: authority(t, people()), MaxPacketBytes: 2048, MaxConnectBytes: 2048}, silent)
			seen := brokertest.NewInbox()
			if _, err := b.Subscribe("#", seen.Put); err != nil {
				t.Fatal(err)
			}
			b.Gate("plant/gated", func(area.Message) error { return area.Errorf(area.CodeForbidden, "no") })
			r := dialTCP(t, b, 4)
			r.connect("gate-1", as("gate-1"))
			good := publishPacket("plant/good", "x", 0, 0)
			bad := publishPacket(c.topic, strings.Repeat("x", c.size), 0, 0)
			if _, err := r.Write(bytesOf(t, 4, good, good, bad)); err != nil {
				t.Fatal(err)
			}
			if c.ends {
				if _, err := r.recv(); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("after it: %v, want the end", err)
				}
			} else {
				r.alive()
			}
			if n := c.counted(b.Stats()); n != 1 {
				t.Errorf("counted %d times, want once", n)
			}
			if got := seen.Take(t, 2); got[1].Topic != "plant/good" || seen.Len() != 0 || got[0].User != "gate-1" {
				t.Errorf("the hub saw %+v and %d more, want the good ones", got, seen.Len())
			}
		})
	}
}

// TestShortWayOfTenants: their topics get their place.
func TestShortWayOfTenants(t *testing.T) {
	b := overTCP(t, broker.Config{Auth: authority(t, people())}, silent)
	seen := brokertest.NewInbox()
	if _, err := b.Subscribe("#", seen.Put); err != nil {
		t.Fatal(err)
	}
	eve, mill := dialTCP(t, b, 5), dialTCP(t, b, 5)
	eve.connect("eve", as("eve"))
	mill.connect("mill", as("mill"))
	eve.send(subscribePacket(1, 0, "tacet/device/mill/#"))
	eve.expect(packets.Suback)
	mill.send(publishPacket("tacet/device/mill/tele/noise", "1", 0, 0))
	if pk := eve.expect(packets.Publish); pk.TopicName != "tacet/device/mill/tele/noise" {
		t.Errorf("eve got %s", pk.TopicName)
	}
	mill.alive()
	if n := seen.Len(); n != 0 {
		t.Errorf("the hub's own saw %d of a tenant's", n)
	}
}

// TestShortWayKeepsAlive: a client that says nothing else is not silent.
func TestShortWayKeepsAlive(t *testing.T) {
	b := overTCP(t, broker.Config{}, silent)
	r := dialTCP(t, b, 4)
	r.connect("sensor")
	r.alive() // all that CONNECT leads to is done
	set := make(chan time.Time, 100)
	b.WatchReadDeadline("sensor", func(at time.Time) { set <- at })
	before := time.Now()
	for range 3 {
		r.send(publishPacket("a", "x", 0, 0))
		if at := <-set; at.Before(before.Add(30 * time.Second)) {
			t.Fatalf("the deadline is %s after the beginning, want the keep-alive of 30 s and more", at.Sub(before))
		}
	}
}
