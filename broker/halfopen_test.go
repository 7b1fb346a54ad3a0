package broker_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/brokertest"
)

// TestThousandHalfOpenConnections: silent ones, and ones that say a byte a
// second; a client comes in at once meanwhile, and none is left in the end.
func TestThousandHalfOpenConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		ended := make(chan time.Duration, 1000)
		start := time.Now()
		var work sync.WaitGroup
		for i := range 1000 {
			r := newRaw(t, b.Pipe(t), 4)
			if i%2 == 0 {
				work.Go(func() {
					for _, c := range []byte("\x10\x40\x00\x04MQTT\x04\x02\x00\x0a\x00\x20abcdefghijklmnopqrst") {
						if _, err := r.Write([]byte{c}); err != nil {
							return
						}
						time.Sleep(time.Second)
					}
				})
			}
			work.Go(func() {
				r.closed()
				ended <- time.Since(start)
			})
		}
		time.Sleep(5 * time.Second)
		before := time.Now()
		normal := dial(t, b, 4, "gate-1")
		if d := time.Since(before); d != 0 {
			t.Errorf("a client waited %s", d)
		}
		for range 1000 {
			if d := <-ended; d > 10*time.Second {
				t.Errorf("one was there for %s", d)
			}
		}
		work.Wait()
		synctest.Wait()
		if st := b.Stats(); st.HalfOpen != 0 || st.Connections != 1 || st.Refused["half_open"]+st.Refused["silent"] != 1000 {
			t.Errorf("%d half-open, %d connected, refused %v", st.HalfOpen, st.Connections, st.Refused)
		}
		normal.alive()
	})
}
