package redis

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/shared"
	"github.com/tacet-hub/tacet/broker/shared/sharedtest"
)

// BenchmarkTablesSeen is from a change's being brought to the server until another node
// knows of it, one change at a time; ns/op is both ways and what is between.
func BenchmarkTablesSeen(b *testing.B) {
	e := startEngine(b)
	from, to := e.tables("a"), e.tables("b")
	seen := make(chan string, 1)
	mark, _, err := to.Mark(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			list, next, err := to.Since(ctx, mark)
			if err != nil {
				return
			}
			mark = next
			for _, c := range list {
				seen <- c.Key
			}
		}
	}()
	times := make([]time.Duration, 0, b.N)
	b.ResetTimer()
	for i := range b.N {
		x := shared.Entry{Name: shared.Name{Table: "t", Key: strconv.Itoa(i)}, Stamp: shared.Stamp{Time: uint64(i) + 1, Node: "a"}, Value: []byte{}}
		begun := time.Now()
		if _, err := from.Merge(b.Context(), []shared.Entry{x}); err != nil {
			b.Fatal(err)
		}
		if key := <-seen; key != x.Key {
			b.Fatalf("%s is seen, not %s", key, x.Key)
		}
		times = append(times, time.Since(begun))
	}
	b.StopTimer()
	stop()
	<-done
	quantiles(b, times)
}

// BenchmarkPutSeen is from an owner's Put at one node until the owner at another is
// told: what BenchmarkTablesSeen is, and both disks.
func BenchmarkPutSeen(b *testing.B) {
	e := startEngine(b)
	from, to := sharedtest.Start(b, "a", e.tables("a"), nil), sharedtest.Start(b, "b", e.tables("b"), nil)
	seen := make(chan string, 16)
	to.T.Watch(func(key string, _ []byte) { seen <- key })
	sharedtest.Until(b, "both are connected", func() bool { return from.Stats().Connected && to.Stats().Connected })
	times := make([]time.Duration, 0, b.N)
	b.ResetTimer()
	for i := range b.N {
		key, begun := strconv.Itoa(i), time.Now()
		from.Put(key, "v")
		if got := <-seen; got != key {
			b.Fatalf("%s is seen, not %s", got, key)
		}
		times = append(times, time.Since(begun))
	}
	b.StopTimer()
	quantiles(b, times)
}

func quantiles(b *testing.B, times []time.Duration) {
	b.Helper()
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-µs")
}
