package broker_test

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/store"
)

var message = area.Message{Topic: "tacet/area/north/busy", Payload: make([]byte, 200), QoS: 1, Retain: true, From: area.FromArbiter}

// BenchmarkPublish is the hub to so many of its own subscribers.
func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{1, 10} {
		b.Run(fmt.Sprint(n, "-inline"), func(b *testing.B) {
			br := overTCP(b, broker.Config{}, silent)
			var got atomic.Int64
			for range n {
				if _, err := br.Subscribe("tacet/#", func(area.Message) { got.Add(1) }); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				publish(b, br, message)
			}
			if got.Load() < int64(b.N*n) {
				b.Errorf("%d came", got.Load())
			}
		})
	}
}

// BenchmarkRoundTrip is a client's QoS 1 publication over TCP, its
// acknowledgement, and its delivery to a subscriber of the hub.
func BenchmarkRoundTrip(b *testing.B) {
	br := overTCP(b, broker.Config{}, silent)
	if _, err := br.Subscribe("tacet/#", func(area.Message) {}); err != nil {
		b.Fatal(err)
	}
	r := dialTCP(b, br, 4)
	_ = r.SetDeadline(noDeadline)
	r.connect("gate-1")
	pk := publishPacket("tacet/device/gate-1/tele/temperature", "21.5", 1, 1)
	b.ReportAllocs()
	for b.Loop() {
		r.send(pk)
		r.expect(packets.Puback)
	}
}

// BenchmarkDurable is a client's retained publications over TCP, 20 of them under
// way, each acknowledged when it is on the disk.
func BenchmarkDurable(b *testing.B) {
	const window = 20
	st, err := store.Open(filepath.Join(b.TempDir(), "tacet.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = st.Close() }) // after the broker, which is stopped first
	br := overTCP(b, broker.Config{Store: st.State()}, silent)
	r := dialTCP(b, br, 4)
	_ = r.SetDeadline(noDeadline)
	r.connect("gate-1")
	n := 0
	send := func() {
		n++
		pk := publishPacket(fmt.Sprint("state/", n%window), fmt.Sprint(n), 1, uint16(n%60000+1))
		pk.FixedHeader.Retain = true
		r.send(pk)
	}
	for range window {
		send()
	}
	b.ReportAllocs()
	for b.Loop() {
		r.expect(packets.Puback)
		send()
	}
}

// BenchmarkFanOut is the hub to 50 clients over TCP, in bursts of 20 messages.
func BenchmarkFanOut(b *testing.B) {
	const clients, burst = 50, 20
	br := overTCP(b, broker.Config{}, silent)
	done := make(chan error, clients)
	for i := range clients {
		r := dialTCP(b, br, 4)
		_ = r.SetDeadline(noDeadline)
		r.connect(fmt.Sprint("gate-", i))
		r.send(subscribePacket(1, 0, "live"))
		r.expect(packets.Suback)
		go func() {
			for n := 0; ; {
				pk, err := r.recv()
				if err != nil {
					return
				}
				if pk.FixedHeader.Type == packets.Publish {
					if n++; n%burst == 0 {
						done <- nil
					}
				}
			}
		}()
	}
	m := area.Message{Topic: "live", Payload: make([]byte, 200)}
	for b.Loop() {
		for range burst {
			publish(b, br, m)
		}
		for range clients {
			<-done
		}
	}
	b.ReportMetric(float64(b.N)*clients*burst/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkConnect is CONNECT to CONNACK over TCP.
func BenchmarkConnect(b *testing.B) {
	br := overTCP(b, broker.Config{}, silent)
	i := 0
	for b.Loop() {
		r := dialTCP(b, br, 4)
		r.connect(fmt.Sprint("c", i))
		_ = r.Close()
		i++
	}
}

// BenchmarkPlain is a client's messages of QoS 0 over TCP, 50 with each write, to
// a subscriber of the hub: what comes the short way, and, with a property, what
// does not.
func BenchmarkPlain(b *testing.B) {
	for _, name := range []string{"short", "long"} {
		b.Run(name, func(b *testing.B) {
			br := overTCP(b, broker.Config{}, silent)
			const batch = 50
			came, n := make(chan struct{}, 1), 0
			if _, err := br.Subscribe("bench/#", func(area.Message) {
				if n++; n%batch == 0 {
					came <- struct{}{}
				}
			}); err != nil {
				b.Fatal(err)
			}
			r := dialTCP(b, br, 5)
			_ = r.SetDeadline(noDeadline)
			r.connect("sensor")
			pk := publishPacket("bench/hall/temperature", "21.5", 0, 0)
			if name == "long" {
				pk.Properties.ContentType = "text/plain"
			}
			var bytes []byte
			for range batch {
				bytes = append(bytes, bytesOf(b, 5, pk)...)
			}
			b.ReportAllocs()
			for b.Loop() {
				_, _ = r.Write(bytes)
				<-came
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/message")
		})
	}
}
