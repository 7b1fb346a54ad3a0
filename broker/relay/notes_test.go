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
	synctest.Test(t, func(t *testing.T) {
		r, err := New(Config{Node: "a"})
		if err != nil {
			t.Fatal(err)
		}
		w := &bookWire{}
		r.Serve(&bookBroker{})
		r.Join(w)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.Run(ctx) }() // joined below
		r.Connected(true)
		r.Nodes([]Node{{"a", 1}, {"b", 1}})
		synctest.Wait()
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
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
