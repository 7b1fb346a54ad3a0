package signalr_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
)

// TestFirstWord: the vendor's npm client does not count what its socket brings in one
// read with the answer to its handshake. So what counts is not written before the client
// has spoken, or can be taken for one that does not.
func TestFirstWord(t *testing.T) {
	for _, tc := range []struct {
		name string
		then func(h *site, c *signalr.Conn, r *raw, query string) *raw
		want []string
	}{
		{"it pings", func(_ *site, _ *signalr.Conn, r *raw, _ string) *raw { r.send(pinged); return r }, []string{pushed(1), pushed(2)}},
		{"it calls", func(_ *site, _ *signalr.Conn, r *raw, _ string) *raw { r.send(callAdd); return r }, []string{pushed(1), pushed(2), answered3}},
		{"it is silent", func(_ *site, _ *signalr.Conn, r *raw, _ string) *raw { return r }, []string{pushed(1), pushed(2)}},
		{"it comes back", func(h *site, _ *signalr.Conn, r *raw, query string) *raw {
			_ = r.link.Close()
			return h.raw(r.t, query)
		}, []string{`{"type":9,"sequenceId":1}`, pushed(1), pushed(2)}},
		{"the hub ends it", func(_ *site, c *signalr.Conn, r *raw, _ string) *raw { c.Close(nil); return r }, []string{pushed(1), pushed(2), `{"type":7}`, "EOF"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conns := make(chan *signalr.Conn, 1)
				h := newSite(t, statefully, func(s *signalr.Server) {
					s.OnConnect(func(c *signalr.Conn) { _ = c.Send("Push", 1); conns <- c })
				})
				r, query := h.mute(t)
				synctest.Wait()
				h.All().Send("Push", 2)
				synctest.Wait()
				if n := h.Stats().MessagesOut; n != 0 {
					t.Errorf("%d messages were written before the client spoke", n)
				}
				began := time.Now()
				tc.then(h, <-conns, r, query).want(tc.want...)
				if d := time.Since(began); d > 2*time.Second {
					t.Errorf("they came after %v", d)
				}
			})
		})
	}
}
