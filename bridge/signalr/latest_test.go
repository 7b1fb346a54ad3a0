package signalr_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
)

// state reads a key, a number and a filling from an event of these tests.
func state(t *testing.T, record string) (key string, n int) {
	t.Helper()
	var m struct {
		Arguments []json.RawMessage
	}
	if err := json.Unmarshal([]byte(record), &m); err != nil || len(m.Arguments) < 2 {
		t.Fatalf("%.100s: %v", record, err)
	}
	_ = json.Unmarshal(m.Arguments[0], &key)
	_ = json.Unmarshal(m.Arguments[1], &n)
	return key, n
}

// TestSlowClientIsShownTheNewest: who does not read misses what is old of each
// key, and nothing that is new, in order; who reads misses nothing at all.
func TestSlowClientIsShownTheNewest(t *testing.T) {
	for name, stateful := range map[string]bool{"plain": false, "resumable": true} {
		synctest.Test(t, func(t *testing.T) {
			h := newSite(t, signalr.Config{TransportSendTimeout: time.Hour, OutboxBytes: 300_000, AllowStatefulReconnects: true},
				func(s *signalr.Server) { s.OnConnect(func(c *signalr.Conn) { _, _ = c.Join("g") }) })
			var r *raw
			if stateful {
				r, _ = h.stateful(t)
			} else {
				r = h.greeted(t, "")
			}
			synctest.Wait()
			const rounds, keys = 2000, 10 // 20 MB, of which the outbox takes little
			filling := strings.Repeat("x", 1000)
			for n := range rounds {
				for k := range keys {
					key := fmt.Sprint("k", k)
					if h.Group("g").SendLatest("State", key, key, n, filling) != 1 {
						t.Fatalf("%s: not sent in round %d", name, n)
					}
				}
			}
			last, got := map[string]int{}, 0
			for k := range keys {
				last[fmt.Sprint("k", k)] = -1
			}
			for done := 0; done < keys; got++ {
				key, n := state(t, r.next())
				if n <= last[key] {
					t.Fatalf("%s: %s: %d after %d", name, key, n, last[key])
				}
				if last[key] = n; n == rounds-1 {
					done++
				}
				if stateful {
					r.send(fmt.Sprintf(`{"type":8,"sequenceId":%d}`, got+1) + "\x1e")
				}
			}
			s := h.Stats()
			if s.Conflated+uint64(got) != rounds*keys || s.Conflated < rounds*keys/2 || s.SlowDisconnects != 0 {
				t.Errorf("%s: %d came, %d were replaced, %d cut", name, got, s.Conflated, s.SlowDisconnects)
			}
			h.Group("g").SendLatest("State", "k0", "k0", rounds)
			if key, n := state(t, r.next()); key != "k0" || n != rounds {
				t.Errorf("%s: afterwards %s %d", name, key, n)
			}
		})
	}
}

// TestTooManyStates: the states of too many keys end a connection as too much of
// anything does.
func TestTooManyStates(t *testing.T) {
	ended := make(chan error, 1)
	h := newSite(t, signalr.Config{OutboxBytes: 100_000}, func(s *signalr.Server) {
		s.OnConnect(func(c *signalr.Conn) { _, _ = c.Join("g") })
		s.OnDisconnect(func(_ *signalr.Conn, err error) { ended <- err })
	})
	h.greeted(t, "")
	for n := 0; ; n++ {
		h.Group("g").SendLatest("State", fmt.Sprint(n), strings.Repeat("x", 1000))
		select {
		case err := <-ended:
			if !errors.Is(err, signalr.ErrSlow) {
				t.Errorf("ended with %v", err)
			}
			return
		default:
		}
	}
}

// TestLatestToOthersThanGroups: every kind of target takes states.
func TestLatestToOthersThanGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conns := make(chan *signalr.Conn, 1)
		h := newSite(t, signalr.Config{}, func(s *signalr.Server) {
			s.OnConnect(func(c *signalr.Conn) { _, _ = c.Join("g"); conns <- c })
		})
		r, c := h.greeted(t, ""), <-conns
		synctest.Wait()
		for _, to := range []signalr.Target{h.All(), h.Group("g"), h.Groups("g", "g"), h.Client(c.ID()), h.Client(c.ID()).Except("x")} {
			if n := to.SendLatest("Push", "k", 1); n != 1 {
				t.Errorf("sent to %d", n)
			}
			r.want(pushed(1))
		}
		if n := h.Client(c.ID()).Except(c.ID()).SendLatest("Push", "k", 2); n != 0 {
			t.Errorf("sent to %d that are excepted", n)
		}
	})
}
