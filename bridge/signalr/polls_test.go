package signalr_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
)

const (
	callAdd   = `{"type":1,"invocationId":"1","target":"Add","arguments":[1,2]}` + "\x1e"
	answered3 = `{"type":3,"invocationId":"1","result":3}`
)

func TestLongPolling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conns := make(chan *signalr.Conn, 1)
		h := newSite(t, signalr.Config{}, func(s *signalr.Server) { s.OnConnect(func(c *signalr.Conn) { conns <- c }) })
		w := h.polling(t, "attr=1")
		c := <-conns
		if c.Transport().String() != "LongPolling" || c.Query().Get("attr") != "1" || c.Query().Has("id") {
			t.Errorf("%v with %v", c.Transport(), c.Query())
		}
		parked := w.later()
		synctest.Wait()
		if a := w.post(callAdd); a.StatusCode != 200 || a.body != "" {
			t.Errorf("POST: %d %q", a.StatusCode, a.body)
		}
		a := <-parked
		if a.StatusCode != 200 || a.body != answered3+"\x1e" || a.Header.Get("Content-Type") != "application/octet-stream" {
			t.Errorf("poll: %d %q %v", a.StatusCode, a.body, a.Header)
		}
		for name, want := range map[string]string{"Cache-Control": "no-cache, no-store", "Pragma": "no-cache", "Expires": "Thu, 01 Jan 1970 00:00:00 GMT"} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		for i := range 3 {
			_ = c.Send("Push", i)
		}
		synctest.Wait()
		if a := w.poll(); a.body != "{\"type\":1,\"target\":\"Push\",\"arguments\":[0]}\x1e{\"type\":1,\"target\":\"Push\",\"arguments\":[1]}\x1e{\"type\":1,\"target\":\"Push\",\"arguments\":[2]}\x1e" {
			t.Errorf("poll after three events: %q", a.body)
		}
	})
}

func TestPollsPark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newSite(t, signalr.Config{}, nil)
		w := h.polling(t, "")
		start := time.Now()
		if a := w.poll(); a.StatusCode != 200 || a.body != "" || time.Since(start) != 90*time.Second {
			t.Errorf("poll without data: %d %q after %v", a.StatusCode, a.body, time.Since(start))
		}
		older := w.later()
		synctest.Wait()
		newer := w.later()
		if a := <-older; a.StatusCode != 204 {
			t.Errorf("older poll: %d", a.StatusCode)
		}
		w.post(callAdd)
		if a := <-newer; a.body != answered3+"\x1e" {
			t.Errorf("newer poll: %d %q", a.StatusCode, a.body)
		}
		if n := h.Stats().MessagesOut; n != 1 { // and no pings
			t.Errorf("%d messages out", n)
		}
	})
}

func TestPollsEnd(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(h *site, w *web) // with a poll that waits
		data string                // what that poll gets; empty: 204
		want error
	}{
		{"DELETE", func(h *site, w *web) {
			if a := w.do(context.Background(), "DELETE", ""); a.StatusCode != 202 {
				w.t.Errorf("DELETE: %d", a.StatusCode)
			}
		}, "", nil},
		{"close message", func(h *site, w *web) { w.post("{\"type\":7}\x1e") }, "", nil},
		{"server closes", func(h *site, w *web) { h.Conns()[0].Close(signalr.Error("x")) },
			"{\"type\":7,\"error\":\"Connection closed with an error. HubException: x\"}\x1e", signalr.Error("x")},
		{"bad input", func(h *site, w *web) { w.post("{}\x1e") },
			"{\"type\":7,\"error\":\"Connection closed with an error. InvalidDataException: missing required property 'type'\"}\x1e", signalr.ErrProtocol},
		{"drain", func(h *site, w *web) { go h.stop() }, "{\"type\":7,\"allowReconnect\":true}\x1e", signalr.ErrDraining},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan error, 1)
				h := newSite(t, signalr.Config{}, func(s *signalr.Server) { s.OnDisconnect(func(_ *signalr.Conn, err error) { ended <- err }) })
				w := h.polling(t, "")
				start, parked := time.Now(), w.later()
				synctest.Wait()
				tc.end(h, w)
				a := <-parked
				if tc.data != "" {
					if a.body != tc.data {
						t.Errorf("poll: %d %q, want %q", a.StatusCode, a.body, tc.data)
					}
					a = w.poll()
				}
				if a.StatusCode != 204 {
					t.Errorf("last poll: %d %q", a.StatusCode, a.body)
				}
				if err := <-ended; err != tc.want && !errors.Is(err, tc.want) && err.Error() != tc.want.Error() {
					t.Errorf("ended with %v, want %v", err, tc.want)
				}
				synctest.Wait()
				for _, method := range []string{"GET", "POST", "DELETE"} {
					if a := w.do(context.Background(), method, ""); a.StatusCode != 404 {
						t.Errorf("%s after the end: %d %s", method, a.StatusCode, a.body)
					}
				}
				if d := time.Since(start); d > time.Second {
					t.Errorf("it took %v", d)
				}
			})
		})
	}
}

func TestAbsentPollerIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		h := newSite(t, signalr.Config{}, func(s *signalr.Server) { s.OnDisconnect(func(_ *signalr.Conn, err error) { ended <- err }) })
		w := h.polling(t, "")
		ctx, cancel := context.WithCancel(context.Background())
		go func() { time.Sleep(time.Minute); cancel() }()
		w.do(ctx, "GET", "") // the client breaks off
		start := time.Now()
		if err := <-ended; err != signalr.ErrAbsent || time.Since(start) < 15*time.Second || time.Since(start) > 17*time.Second {
			t.Errorf("ended with %v after %v", err, time.Since(start))
		}
		if a := w.poll(); a.StatusCode != 404 {
			t.Errorf("poll after the end: %d", a.StatusCode)
		}
	})
}

func TestPolledBacklogIsBounded(t *testing.T) {
	ended := make(chan error, 1)
	h := newSite(t, signalr.Config{OutboxBytes: 200_000}, func(s *signalr.Server) { s.OnDisconnect(func(_ *signalr.Conn, err error) { ended <- err }) })
	w := h.polling(t, "")
	w.post(callAdd)
	w.want(answered3) // then it is one of all
	n, text := 0, strings.Repeat("x", 1000)
	for h.All().Send("Push", text) == 1 {
		n++
	}
	if err := <-ended; !errors.Is(err, signalr.ErrSlow) || n < 150 || n > 400 {
		t.Errorf("ended with %v after %d events", err, n)
	}
}

func TestPosts(t *testing.T) {
	t.Run("long body is read in parts", func(t *testing.T) {
		h := newSite(t, signalr.Config{}, nil)
		w := h.polling(t, "")
		if a := w.post(strings.Repeat(`{"type":6}`+"\x1e", 50_000) + callAdd); a.StatusCode != 200 {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
		w.want(answered3)
	})
	t.Run("too long", func(t *testing.T) {
		h := newSite(t, signalr.Config{MaximumPostSize: 10_000}, nil)
		w := h.polling(t, "")
		if a := w.post(strings.Repeat("x", 20_000)); a.StatusCode != 413 {
			t.Errorf("%d", a.StatusCode)
		}
		w.post(callAdd)
		w.want(answered3) // nothing of it was taken
		r, _ := http.NewRequest("POST", w.url, endless{})
		a, err := w.http.Do(r)
		if err == nil && a.StatusCode != 413 {
			t.Errorf("endless body: %d", a.StatusCode)
		}
		if a := w.poll(); a.StatusCode != 204 && a.StatusCode != 404 {
			t.Errorf("poll after half a body: %d", a.StatusCode)
		}
	})
	t.Run("too long message", func(t *testing.T) {
		h := newSite(t, signalr.Config{}, nil)
		w := h.polling(t, "")
		w.post(strings.Repeat("x", 40_000))
		w.want(`{"type":7,"error":"Connection closed with an error. InvalidDataException: The maximum message size of 32768B was exceeded."}`)
	})
	t.Run("in order", func(t *testing.T) {
		h := newSite(t, signalr.Config{}, nil)
		w := h.polling(t, "")
		w.post(`{"type":1,"invocationId":"1","ta`)
		w.post(`rget":"Add","arguments":[1,2]}` + "\x1e")
		w.want(answered3)
	})
}

// endless is a body without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	return copy(p, strings.Repeat(`{"type":6}`+"\x1e", 100)), nil
}
