package redis

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/backplane/backplanetest"
)

// counting hears, and keeps how long each envelope was under way.
type counting struct {
	n    atomic.Int64
	want int64
	done chan struct{}
	once sync.Once
	took func(backplane.Envelope)
}

func (c *counting) Heard(e backplane.Envelope) {
	if c.took != nil {
		c.took(e)
	}
	if c.n.Add(1) == c.want {
		c.once.Do(func() { close(c.done) })
	}
}
func (c *counting) Missed(_ string, _ int, n uint64) {
	if c.n.Add(int64(n)) >= c.want {
		c.once.Do(func() { close(c.done) })
	}
}
func (c *counting) Changed([]backplane.Node) {}
func (c *counting) Connected(bool)           {}

// BenchmarkPublish is envelopes of 256 bytes from one node to another, as fast as
// they go; ns/op is one of them, from the first queued to the last heard.
func BenchmarkPublish(b *testing.B) {
	e := startEngine(b)
	from, to := e.join("a"), e.join("b")
	backplanetest.Start(b, from)
	c := &counting{want: int64(b.N), done: make(chan struct{})}
	c.n.Store(-1) // the hello
	heard := make(chan struct{})
	c.took = func(backplane.Envelope) {
		select {
		case <-heard:
		default:
			close(heard)
		}
	}
	done := make(chan error)
	go func() { done <- to.Run(b.Context(), c) }()
	to.Listen(1, true)
	hello(b, from, heard)
	c.n.Store(0)
	body := make([]byte, 256)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		for from.Publish(1, backplane.Envelope{Target: "group", Body: body}) == backplane.ErrFull {
			pause(b.Context(), time.Millisecond) // the queue has to drain
		}
	}
	<-c.done
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "envelopes/s")
	b.ReportMetric(float64(from.Stats().Published)/float64(from.Stats().Batches), "envelopes/batch")
}

func hello(b *testing.B, from *Plane, heard chan struct{}) {
	b.Helper()
	for {
		if err := from.Publish(1, backplane.Envelope{Target: "hello"}); err != nil {
			b.Fatal(err)
		}
		select {
		case <-heard:
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// BenchmarkHop is how long an envelope is under way while 10,000 a second are.
func BenchmarkHop(b *testing.B) {
	e := startEngine(b)
	from, to := e.join("a"), e.join("b")
	backplanetest.Start(b, from)
	heard := make(chan struct{})
	times := make([]time.Duration, 0, b.N)
	begun := time.Now()
	c := &counting{want: int64(b.N), done: make(chan struct{})}
	c.took = func(e backplane.Envelope) {
		if e.Target == "hello" {
			select {
			case <-heard:
			default:
				close(heard)
			}
			c.n.Add(-1)
			return
		}
		sent := time.Duration(0)
		for i, x := range e.Body[:8] {
			sent |= time.Duration(x) << (8 * i)
		}
		times = append(times, time.Since(begun)-sent)
	}
	go func() { _ = to.Run(b.Context(), c) }()
	to.Listen(1, true)
	hello(b, from, heard)
	b.ResetTimer()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for sent := 0; sent < b.N; {
		<-tick.C
		for range min(10, b.N-sent) {
			body := make([]byte, 256)
			now := time.Since(begun)
			for i := range 8 {
				body[i] = byte(now >> (8 * i))
			}
			if err := from.Publish(1, backplane.Envelope{Target: "group", Body: body}); err != nil {
				b.Fatal(err)
			}
			sent++
		}
	}
	<-c.done
	b.StopTimer()
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-µs")
}
