package relay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Who waits for a node that does not answer waits for five seconds, and then nobody
// does until something is heard of it.
func TestAwaitAMuteNode(t *testing.T) {
	besideB(t, &bookBroker{}, &bookWire{}, func(t *testing.T, ctx context.Context, r *Relay) {
		for i, want := range []time.Duration{awaitMost, 0} {
			begin := time.Now()
			if r.Await(ctx); time.Since(begin) != want {
				t.Errorf("call %d has waited for %v, want %v", i, time.Since(begin), want)
			}
		}
		r.Hear("b", []byte{wordAgain})
		synctest.Wait()
		answered := make(chan time.Duration)
		begin := time.Now()
		go func() { r.Await(ctx); answered <- time.Since(begin) }() // joined below
		time.Sleep(time.Second)
		r.Hear("b", []byte{wordKnown, 200, 1}) // of an earlier life
		time.Sleep(time.Second)
		r.Hear("b", []byte{wordKnown, 1})
		if took := <-answered; took != 2*time.Second {
			t.Errorf("it was known after 2s, and waited for %v", took)
		}
		gone, leave := context.WithCancel(ctx)
		leave()
		r.Want("x", true)
		r.Await(gone)
		if r.muted("b", false) {
			t.Error("b is taken for mute since somebody has not waited")
		}
		r.Connected(false)
		r.Await(ctx)
	})
}
