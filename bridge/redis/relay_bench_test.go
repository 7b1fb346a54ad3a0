package redis

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/relay/relaytest"
)

// BenchmarkMQTTHop is how long a message of QoS 0 and 256 B takes from the broker of
// one node to a subscriber of another over redis-server, while so many a second are
// under way; and, as the anchor, to one of the same node.
func BenchmarkMQTTHop(b *testing.B) {
	for _, rate := range []int{1000, 10_000} {
		for _, to := range []string{"b", "a"} {
			b.Run(fmt.Sprintf("%d-a-second/a-to-%s", rate, to), func(b *testing.B) { mqttHop(b, rate, to) })
		}
	}
}

func mqttHop(b *testing.B, rate int, to string) {
	e := startEngine(b)
	n := relaytest.Hub(b, e.joinRelay, "a", "b")
	at := n[0]
	if to == "b" {
		at = n[1]
	}
	begun := time.Now()
	times := make([]time.Duration, 0, b.N)
	done := make(chan struct{})
	cancel, err := at.SubscribeEverywhere("hop", func(m area.Message) {
		times = append(times, time.Since(begun)-time.Duration(binary.LittleEndian.Uint64(m.Payload)))
		if len(times) == b.N {
			close(done)
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	defer cancel()
	if to == "b" {
		n[0].Knows(n[1], "hop", true)
	}
	b.ResetTimer()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	start := time.Now()
	for sent := 0; sent < b.N; {
		<-tick.C
		for due := int(time.Since(start).Seconds() * float64(rate)); sent < min(due, b.N); sent++ {
			body := make([]byte, 256)
			binary.LittleEndian.PutUint64(body, uint64(time.Since(begun)))
			if err := n[0].Publish(b.Context(), area.Message{Topic: "hop", Payload: body}); err != nil {
				b.Fatal(err)
			}
		}
	}
	<-done
	b.StopTimer()
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-µs")
}
