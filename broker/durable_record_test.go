package broker

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"
)

func wholePacket() packets.Packet {
	return packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 2, Retain: true}, ProtocolVersion: 5,
		TopicName: "a/b", Payload: []byte("payload"), Origin: "gate-1", Expiry: 1795255200, Filters: tagOf(7, true),
		Properties: packets.Properties{
			PayloadFormat: 1, PayloadFormatFlag: true, MessageExpiryInterval: 60, ContentType: "text/plain", ResponseTopic: "re",
			CorrelationData: []byte{1, 2}, User: []packets.UserProperty{{Key: "k", Val: "v"}, {Key: "k", Val: "w"}},
		},
	}
}

func TestRecordsComeBackWhole(t *testing.T) {
	want := wholePacket()
	for _, version := range []byte{4, 5} {
		want.ProtocolVersion = version
		got, _, err := decodeRetained(want.TopicName, encodeRetained(want))
		if err != nil {
			t.Fatal(err)
		}
		x := want
		x.Filters = tagOf(0, true) // the connection is gone
		x.FixedHeader.Remaining = got.FixedHeader.Remaining
		if !reflect.DeepEqual(got, x) {
			t.Errorf("message %+v\nwant    %+v", got, x)
		}
	}
	s := newStored("gate-1")
	s.owner, s.version, s.expiry, s.gone = []byte("ann"), 5, 1<<32-1, 1795255200
	if got, err := decodeSession("gate-1", s.encode()); err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("session %+v, %v", got, err)
	}
	sub := packets.Subscription{Filter: "a/#", Qos: 2, RetainHandling: 2, NoLocal: true, RetainAsPublished: true, Identifier: 1<<28 - 1}
	if got, err := decodeSubscription("a/#", encodeSubscription(sub)); err != nil || !reflect.DeepEqual(got, sub) {
		t.Errorf("subscription %+v, %v", got, err)
	}
}

// FuzzRecords decodes whatever comes: it says so, or what it has read is what it
// writes.
func FuzzRecords(f *testing.F) {
	d := &durable{messages: map[int64]*kept{}, sessions: map[string]*stored{}}
	one := &delivery{number: 3, client: "gate-1", id: 9, qos: 1, sent: true, subs: []int{5}}
	d.messages[3] = &kept{body: encodeBody(wholePacket()), to: map[*delivery]struct{}{one: {}}}
	message, _ := d.readMessage(messageKey(3))
	f.Add(message)
	f.Add(encodeRetained(wholePacket()))
	f.Add(append(mark{at: 7, node: "a"}.append([]byte{markedVersion}), encodeBody(wholePacket())...))
	f.Add(mark{at: 7, node: "a"}.append([]byte{goneVersion}))
	f.Add(newStored("x").encode())
	f.Add(encodeSubscription(packets.Subscription{Filter: "x", Qos: 1}))
	f.Fuzz(func(t *testing.T, record []byte) {
		if pk, m, err := decodeRetained("a/b", record); err == nil && !m.gone {
			again, _, err := decodeRetained("a/b", encodeRetained(pk))
			again.FixedHeader.Remaining = pk.FixedHeader.Remaining
			if err != nil || again.TopicName != pk.TopicName || !bytes.Equal(again.Payload, pk.Payload) || again.FixedHeader != pk.FixedHeader {
				t.Errorf("message %+v comes back as %+v, %v", pk, again, err)
			}
		}
		if _, to, err := decodeMessage(record); err == nil {
			for _, one := range to {
				if one.id == 0 || one.qos == 0 || one.qos > 2 {
					t.Errorf("delivery %+v", one)
				}
			}
		}
		_, _ = decodeAway(record)
		_, _ = decodeSession("x", record)
		_, _ = decodeSubscription("x", record)
	})
}
