package signalr_test

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
)

// backdoor is a listener whose connections are pipes.
type backdoor struct {
	conns chan net.Conn
	over  context.Context
	end   context.CancelFunc
}

func (d backdoor) Accept() (net.Conn, error) {
	select {
	case c := <-d.conns:
		return c, nil
	case <-d.over.Done():
		return nil, net.ErrClosed
	}
}

func (d backdoor) Close() error   { d.end(); return nil }
func (d backdoor) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (d backdoor) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case d.conns <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// TestHostHasTimeouts: an HTTP server that bounds its requests and answers, as it
// should, ends no connection of the hub, whatever its transport is.
func TestHostHasTimeouts(t *testing.T) {
	for name, by := range map[string]signalrtest.Transport{
		"WebSockets": signalrtest.WebSockets, "events": signalrtest.ServerSentEvents, "polls": signalrtest.LongPolling,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newSite(t, signalr.Config{}, nil)
				over, end := context.WithCancel(t.Context())
				d := backdoor{make(chan net.Conn), over, end}
				host := &http.Server{Handler: h, ReadHeaderTimeout: time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, IdleTimeout: 5 * time.Second}
				var task sync.WaitGroup
				task.Go(func() { _ = host.Serve(d) }) // ends with Close
				defer task.Wait()
				defer host.Close()
				c, err := signalrtest.Dial(t.Context(), hubURL, signalrtest.Options{Transport: by, NetDial: d.dial})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				for range 5 {
					time.Sleep(37 * time.Second) // of the bubble's
					if got, err := c.Invoke(t.Context(), "Echo", "still here"); err != nil || string(got) != `"still here"` {
						t.Fatalf("got %s, %v", got, err)
					}
				}
			})
		})
	}
}
