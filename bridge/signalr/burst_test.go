package signalr_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/tacet-hub/tacet/bridge/signalr"
)

// TestBurst: what is sent in a burst goes out when it ends, in order and with what
// others send in its place; for groups of all sizes, and on connections that can
// be resumed.
func TestBurst(t *testing.T) {
	for _, c := range []struct {
		members  int
		stateful bool
	}{{1, false}, {1, true}, {4, false}, {9, false}} {
		synctest.Test(t, func(t *testing.T) {
			h := newSite(t, signalr.Config{AllowStatefulReconnects: true}, func(s *signalr.Server) {
				s.OnConnect(func(c *signalr.Conn) { _, _ = c.Join("g"); _, _ = c.Join("h") })
			})
			members := make([]*raw, c.members)
			for i := range members {
				if c.stateful {
					members[i], _ = h.stateful(t)
				} else {
					members[i] = h.greeted(t, "")
				}
			}
			synctest.Wait()
			before := h.Stats().MessagesOut
			b := h.Burst()
			for round := range 2 { // it can be used again
				b.Group("g").Send("Push", 1)
				b.Group("h").SendLatest("Push", "k", 2)
				h.Group("g").Send("Push", 3)
				b.Group("g").Send("Push", 4)
				synctest.Wait()
				small := c.members <= 4 // a pipe of a larger group is written to at once by somebody else
				if n := h.Stats().MessagesOut - before; small && n != uint64(round*4*c.members) {
					t.Errorf("%+v: %d messages went out before the end of the burst", c, n)
				}
				b.End()
				b.End() // nothing is left to do
				for _, r := range members {
					r.want(pushed(1), pushed(2), pushed(3), pushed(4))
				}
				synctest.Wait()
			}
		})
	}
}

// TestBurstEndsByItself: nobody is taken for slow because of a burst, whose end is
// far.
func TestBurstEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newSite(t, signalr.Config{OutboxBytes: 64 << 10}, func(s *signalr.Server) {
			s.OnConnect(func(c *signalr.Conn) { _, _ = c.Join("g") })
		})
		r := h.greeted(t, "")
		synctest.Wait()
		const events = 1000
		var reading sync.WaitGroup
		reading.Go(func() {
			for range events {
				r.next()
			}
		})
		b, filling := h.Burst(), strings.Repeat("x", 1000)
		for n := range events {
			if b.Group("g").SendLatest("State", fmt.Sprint(n%2), fmt.Sprint(n%2), n, filling) != 1 {
				t.Fatalf("event %d was not queued", n)
			}
			synctest.Wait()
		}
		if out := h.Stats().MessagesOut; out < events-20 {
			t.Errorf("%d of %d went out before the end", out, events)
		}
		b.End()
		reading.Wait()
		if s := h.Stats(); s.SlowDisconnects != 0 || s.Conflated != 0 {
			t.Errorf("%d cut, %d replaced", s.SlowDisconnects, s.Conflated)
		}
	})
}

// TestBurstOverTCP: over sockets, where nobody waits to write, members of one
// large group and of many small ones get everything, in order.
func TestBurstOverTCP(t *testing.T) {
	const members, events = 12, 500
	h, dial := overTCP(t, signalr.Config{}, func(s *signalr.Server) {
		s.OnConnect(func(c *signalr.Conn) { _, _ = c.Join(c.ID()); _, _ = c.Join("g") })
	})
	b := h.Burst()
	var want []string
	for n := range events {
		want = append(want, pushed(n))
	}
	for range members {
		ws := dial()
		defer func() {
			var got []string
			for len(got) < events {
				_, p, err := ws.ReadMessage()
				if err != nil {
					t.Fatalf("after %d: %v", len(got), err)
				}
				got = append(got, strings.TrimSuffix(string(p), "\x1e"))
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %.200s…, want %.200s…", got, want)
			}
		}()
	}
	alone := h.Members("g")
	for n := range events {
		if n%2 == 0 {
			b.Group("g").Send("Push", n)
		} else {
			for _, c := range alone {
				b.Group(c.ID()).Send("Push", n)
			}
		}
		if n%7 == 0 {
			b.End()
		}
	}
	b.End()
}
