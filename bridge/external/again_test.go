package external

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// attempts is a log that notes when attempts failed.
type attempts struct {
	slog.Handler
	mu *sync.Mutex
	at *[]time.Time
}

func (a attempts) Handle(_ context.Context, r slog.Record) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	*a.at = append(*a.at, r.Time)
	return nil
}

func (a attempts) Enabled(context.Context, slog.Level) bool { return true }

// TestAttemptsAreSpread: a link to a broker that is away tries again ever less often,
// half to one and a half of each pause apart, and two links do not try together.
func TestAttemptsAreSpread(t *testing.T) {
	url := fmt.Sprint("mqtt://127.0.0.1:", seat(t))
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var mu sync.Mutex
		var tries [2][]time.Time
		var links sync.WaitGroup
		for i := range tries {
			log := slog.New(attempts{slog.DiscardHandler, &mu, &tries[i]})
			l := newLink(Server{URL: url, ClientID: "c"}, newQueue(1, 1), log)
			links.Go(func() { l.run(ctx) })
		}
		time.Sleep(20 * time.Minute)
		stop()
		links.Wait()
		for i, at := range tries {
			if n := int(20 * time.Minute / (2 * longestWait)); len(at) < n {
				t.Fatalf("link %d has tried %d times, want %d at least", i, len(at), n)
			}
			shorter := 0
			for n, wait := 1, firstWait; n < len(at); n, wait = n+1, min(2*wait, longestWait) {
				gap := at[n].Sub(at[n-1])
				if gap < wait/2 || gap >= wait+wait/2 {
					t.Errorf("link %d: pause %d is %v, want half to one and a half of %v", i, n, gap, wait)
				}
				if gap < wait {
					shorter++
				}
			}
			if shorter == 0 || shorter == len(at)-1 {
				t.Errorf("link %d: %d of %d pauses are short ones", i, shorter, len(at)-1)
			}
		}
		for n := 1; n < min(len(tries[0]), len(tries[1])); n++ {
			if tries[0][n].Equal(tries[1][n]) {
				t.Errorf("both have tried at once, %d", n)
			}
		}
	})
}
