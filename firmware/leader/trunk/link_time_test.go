package trunk

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/brokertest"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// A connection outlives the last wish for it by ten seconds, to the second; what is
// lost comes back for as long as it is wanted, and Run leaves nothing behind.
func TestLinkInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		var away atomic.Bool
		l, err := New(Config{Device: "gate-1", Uplink: uplink.Config{Hubs: []string{"mqtt://hub"}, Dial: func(context.Context, *url.URL) (net.Conn, error) {
			if away.Load() {
				return nil, errors.New("the cable is pulled")
			}
			return b.Pipe(t), nil
		}}}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var work sync.WaitGroup
		work.Go(func() { _ = l.Run(ctx) })
		is := func(after time.Duration, what string, up bool) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if l.Up() != up {
				t.Errorf("%s: up is %v, want %v", what, l.Up(), up)
			}
		}
		is(time.Minute, "never wanted", false)
		l.Want("ask", true)
		is(time.Second, "wanted", true)
		l.Want("ask", false)
		is(defaultLinger-time.Millisecond, "just before the linger is over", true)
		l.Want("lead", true)
		is(time.Minute, "wanted again in the meantime", true)
		l.Want("ask", true)
		l.Want("lead", false)
		is(time.Minute, "for one of two reasons", true)
		away.Store(true)
		b.Disconnect("gate-1:trunk", "test")
		is(time.Minute, "while the cable is pulled", false)
		away.Store(false)
		is(time.Minute, "back again", true)
		l.Want("ask", false)
		is(defaultLinger-time.Millisecond, "lingering once more", true)
		is(time.Second, "for nobody", false)
		stop()
		work.Wait()
	})
}
