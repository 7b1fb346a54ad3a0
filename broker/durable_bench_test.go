package broker_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/brokertest"
	"github.com/tacet-hub/tacet/broker/store"
)

// BenchmarkDurableRetained has 64 writers that wait for each acknowledgement,
// and says what a message costs the disk.
func BenchmarkDurableRetained(b *testing.B) {
	s, err := store.Open(filepath.Join(b.TempDir(), "tacet.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	in := brokertest.New(b, withStore(s.State()))
	next := make(chan int)
	var work sync.WaitGroup
	for i := range 64 {
		r := dial(b, in, 4, fmt.Sprint("writer-", i))
		work.Go(func() {
			for n := range next {
				r.send(retainedPacket(fmt.Sprint("bench/", i), fmt.Sprint("value ", n), 1, 1))
				r.expect(packets.Puback)
			}
		})
	}
	before := s.Stats()
	b.ResetTimer()
	for n := range b.N {
		next <- n
	}
	close(next)
	work.Wait()
	after := s.Stats()
	b.ReportMetric(float64(after.Groups-before.Groups)/float64(b.N), "groups/op")
	b.ReportMetric(float64(after.Bytes-before.Bytes)/float64(b.N), "record-B/op")
}

// BenchmarkRestore starts a broker with 10,000 retained messages and 1,000
// sessions with a subscription and a waiting message each.
func BenchmarkRestore(b *testing.B) {
	path := filepath.Join(b.TempDir(), "tacet.db")
	fillState(b, path)
	for b.Loop() {
		begin := time.Now()
		s, err := store.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		opened := time.Since(begin)
		in, err := broker.New(broker.Config{Store: s.State()}, silent)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(opened.Microseconds())/1000, "open-ms")
		b.ReportMetric(float64((time.Since(begin)-opened).Microseconds())/1000, "restore-ms")
		if st := in.Stats(); st.Retained < 10_000 || st.Sessions < 1000 || st.Queued < 1000 {
			b.Fatalf("stats %+v", st)
		}
		b.StopTimer()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func fillState(b *testing.B, path string) {
	s, err := store.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	in := brokertest.New(b, withStore(s.State()))
	p := dial(b, in, 4, "writer")
	for i := range 1000 {
		r := dial(b, in, 4, fmt.Sprint("session-", i), lasting)
		r.send(subscribePacket(1, 1, fmt.Sprint("q/", i)))
		r.expect(packets.Suback)
		_ = r.Close()
		p.send(publishPacket(fmt.Sprint("q/", i), "waits", 1, uint16(i+1)))
		p.expect(packets.Puback)
	}
	for i := range 10_000 {
		p.send(retainedPacket(fmt.Sprintf("site/area-%d/device-%d/state", i%20, i), "some state of a device", 0, 0))
	}
	p.alive()
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}
