package redis

import (
	"fmt"
	"testing"

	"github.com/tacet-hub/tacet/bridge/signalr"
)

// BenchmarkLogAppend is events of 256 bytes that get their numbers, as fast as they go;
// of one group, and of a hundred.
func BenchmarkLogAppend(b *testing.B) {
	for _, groups := range []int{1, 100} {
		b.Run(fmt.Sprint("groups=", groups), func(b *testing.B) {
			l := logs{startEngine(b)}.Log(b)
			names := make([]string, groups)
			for i := range names {
				names[i] = fmt.Sprint("g", i)
			}
			record, done := make([]byte, 256), make(chan error, b.N)
			b.ResetTimer()
			for i := range b.N {
				l.Append(names[i%groups], record, func(_ signalr.Position, err error) { done <- err })
			}
			for range b.N {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkLogPlace is until one event has its number, when nothing else is under way.
func BenchmarkLogPlace(b *testing.B) {
	l := logs{startEngine(b)}.Log(b)
	done := make(chan error, 1)
	for range b.N {
		l.Append("g", make([]byte, 256), func(_ signalr.Position, err error) { done <- err })
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
}
