package redis

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/shared"
)

// Who waits for a line that somebody has for as long as a server stands still waits no
// longer than he wants to.
func TestALineIsWaitedForUntilAContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{}
		tables := &Tables{s: s, write: line{s: s}}
		tables.write.mu.Lock()
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if _, _, err := tables.Swap(ctx, shared.Stamp{}, shared.Entry{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a swap answers %v", err)
		}
		if _, err := tables.write.do(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a call answers %v", err)
		}
		got := make(chan error, 1)
		go func() { got <- tables.write.mu.within(t.Context()) }()
		synctest.Wait()
		tables.write.mu.Unlock()
		if err := <-got; err != nil {
			t.Errorf("once it is free: %v", err)
		}
		tables.write.mu.Unlock()
	})
}
