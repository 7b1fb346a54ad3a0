package broker

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"
)

// FuzzUnmount: a PUBLISH of the tenant leaves with its bare topic and nothing
// else changed, whatever its size does to the header; others are left alone.
func FuzzUnmount(f *testing.F) {
	f.Add("a", "x", byte(0), true)
	f.Add("tacet/area/north/busy", strings.Repeat("x", 100), byte(1), false) // the length loses a byte
	f.Add("a/b", strings.Repeat("x", 16376), byte(2), true)
	f.Fuzz(func(t *testing.T, topic, payload string, qos byte, v5 bool) {
		const mount = "@acme/"
		if topic == "" || len(topic) > 60000 || strings.ContainsAny(topic, "+#") {
			return
		}
		for _, prefix := range []string{mount, "@other/", "x/"} {
			pk := packets.Packet{ProtocolVersion: 4, FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: qos % 3}, TopicName: prefix + topic, Payload: []byte(payload)}
			if v5 {
				pk.ProtocolVersion, pk.Properties.ResponseTopic, pk.Mods.AllowResponseInfo = 5, "reply/"+topic, true
			}
			if qos%3 > 0 {
				pk.PacketID = 7
			}
			var b bytes.Buffer
			if pk.PublishEncode(&b) != nil {
				return
			}
			l := &link{}
			l.who.Store(&identity{mount: mount})
			head, size := measure(b.Bytes())
			if size != b.Len() {
				t.Fatalf("%d of %d bytes measured", size, b.Len())
			}
			out, head := l.unmount(b.Bytes(), head)
			got := packets.Packet{ProtocolVersion: pk.ProtocolVersion}
			if err := got.FixedHeader.Decode(out[0]); err != nil {
				t.Fatal(err)
			}
			got.FixedHeader.Remaining = len(out) - head
			if at, whole := measure(out); at != head || whole != len(out) {
				t.Fatalf("header %d of %d, want %d of %d", at, whole, head, len(out))
			}
			if err := got.PublishDecode(out[head:]); err != nil {
				return // text that is no UTF-8
			}
			want := strings.TrimPrefix(pk.TopicName, mount)
			if got.TopicName != want || string(got.Payload) != payload || got.PacketID != pk.PacketID || got.Properties.ResponseTopic != pk.Properties.ResponseTopic || got.FixedHeader.Qos != qos%3 {
				t.Errorf("%q and %d bytes came out, want %q and %d", got.TopicName, len(got.Payload), want, len(payload))
			}
		}
	})
}
