package broker_test

import (
	"testing"
	"testing/synctest"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// TestWillWithoutPayload is a way to clear a retained topic; the library refuses
// the connection.
func TestWillWithoutPayload(t *testing.T) {
	for _, version := range []byte{4, 5} {
		synctest.Test(t, func(t *testing.T) {
			b := brokertest.New(t)
			publish(t, b, area.Message{Topic: "here", Payload: []byte("yes"), Retain: true})
			seen := brokertest.NewInbox()
			r := newRaw(t, b.Pipe(t), version)
			if ack := r.connect("gate-1", withWill("here", "", true), func(pk *packets.Packet) { pk.Connect.WillPayload = nil }); ack.ReasonCode != 0 {
				t.Fatalf("v%d: CONNACK %#x", version, ack.ReasonCode)
			}
			if _, err := b.Subscribe("here", seen.Put); err != nil {
				t.Fatal(err)
			}
			_ = r.Close()
			if got := seen.Take(t, 2)[1]; !got.Will || len(got.Payload) != 0 {
				t.Errorf("v%d: %+v came, want an empty will", version, got)
			}
			if left := b.Retained("here", 0); len(left) != 0 {
				t.Errorf("v%d: %q is still retained", version, left[0].Payload)
			}
		})
	}
}
