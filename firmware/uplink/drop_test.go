package uplink_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// TestDropOverTCP: over a real socket, whose closing the library does not tell,
// a dropped connection is replaced at once too.
func TestDropOverTCP(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	b, err := broker.New(broker.Config{Addr: "127.0.0.1:0"}, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Listen(); err != nil {
		t.Fatal(err)
	}
	c, err := uplink.New(uplink.Config{Hubs: []string{"mqtt://" + b.Addr().String()}, ClientID: "gate-1", KeepAlive: time.Hour}, log)
	if err != nil {
		t.Fatal(err)
	}
	ups := make(chan uint64, 8)
	c.Watch(func(up bool, n uint64, _ string) {
		if up {
			ups <- n
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { _ = b.Run(ctx) })
	running.Go(func() { _ = c.Run(ctx) })
	<-ups
	c.Drop()
	select {
	case <-ups:
	case <-time.After(time.Minute): // and not in the hour of the keep alive
		t.Fatal("the client did not connect again")
	}
}
