package signalr_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
)

// Clients go away in the middle of everything: each method ends, and nothing of
// them is left.
func TestNothingIsLeftOfDroppedClients(t *testing.T) {
	h := newSite(t, signalr.Config{Authenticate: byToken, StreamBufferCapacity: 2, MaximumQueuedCalls: 4}, func(s *signalr.Server) {
		streams(s)
		uploaders(s)
		askers(s)
		s.OnConnect(func(c *signalr.Conn) { c.SetAttribute("gate", "12") })
	})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var clients sync.WaitGroup
	for i := range 12 {
		c := h.dial(t, signalrtest.Options{AccessToken: "ann"})
		clients.Go(func() {
			_, _ = c.Stream(ctx, "Forever")
			_, _ = c.Stream(ctx, "Count", 100_000)
			up, err := c.Upload(ctx, "Concat", 1, "-")
			if err != nil {
				t.Error(err)
				return
			}
			for range 5 * i {
				_ = up.Send(0, "x")
			}
			_ = c.Send(ctx, "Wait")
			for range i {
				_ = c.Send(ctx, "AskDouble", 1)
			}
			_, _ = h.Attribute("gate", "12").Conns(), h.User("ann").Send("Push", i)
			c.Drop()
		})
	}
	clients.Wait()
	h.stop() // waits for every call
	if s := h.Stats(); s.Streams != 0 || s.Connections != 0 {
		t.Errorf("left: %+v", s)
	}
	if n := len(h.User("ann").Conns()) + len(h.Attribute("gate", "12").Conns()); n != 0 {
		t.Errorf("%d connections are still found", n)
	}
}
