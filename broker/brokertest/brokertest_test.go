package brokertest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// TestBubbleTakesNoWallTime lives through an hour, which is longer than a test may
// take.
func TestBubbleTakesNoWallTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		start := time.Now()
		ends := make(chan broker.ConnEvent, 8)
		b.Connections(func(e broker.ConnEvent) {
			if !e.Up {
				ends <- e
			}
		})
		gate := b.Dial(t, "gate-1")
		busy := brokertest.Subscribe(t, gate, "tacet/area/north/busy", 1)

		// A lease-like wait: an hour of refreshes, which both sides live through.
		lease := time.NewTicker(90 * time.Second)
		defer lease.Stop()
		for range 40 {
			<-lease.C
			if err := b.Publish(context.Background(), area.Message{Topic: "tacet/area/north/busy", Payload: []byte("{}"), QoS: 1, Retain: true, From: area.FromArbiter}); err != nil {
				t.Fatal(err)
			}
			busy.Take(t, 1)
		}
		if d := time.Since(start); d != time.Hour {
			t.Errorf("the bubble's clock went %s, want 1h", d)
		}

		// A client that hangs is lost after one and a half keep-alives.
		hung := b.Pipe(t)
		if _, err := hung.Write([]byte("\x10\x10\x00\x04MQTT\x04\x02\x00\x0a\x00\x04hung")); err != nil {
			t.Fatal(err)
		}
		connack := make([]byte, 4)
		if _, err := hung.Read(connack); err != nil || connack[3] != 0 {
			t.Fatalf("CONNACK %x, %v", connack, err)
		}
		start = time.Now()
		e := <-ends
		if e.Client != "hung" || e.Reason != broker.Timeout {
			t.Errorf("event %+v, want hung, timeout", e)
		}
		if d := time.Since(start); d != 15*time.Second {
			t.Errorf("lost after %s, want 15s", d)
		}
	})
}
