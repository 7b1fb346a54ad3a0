package signalr_test

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/transport"
)

func TestServerSentEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conns, ended := make(chan *signalr.Conn, 1), make(chan error, 1)
		h := newSite(t, signalr.Config{}, func(s *signalr.Server) {
			s.OnConnect(func(c *signalr.Conn) { conns <- c })
			s.OnDisconnect(func(_ *signalr.Conn, err error) { ended <- err })
		})
		e := h.stream(t, "a=1")
		if got := e.line(); got != ":\r\n" { // the client's start waits for it
			t.Errorf("first line %q", got)
		}
		for name, want := range map[string]string{"Content-Type": "text/event-stream", "Cache-Control": "no-cache,no-store", "Content-Encoding": "identity"} {
			if got := e.answer.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if a := e.post(hello + callAdd); a.StatusCode != 200 {
			t.Errorf("POST: %d", a.StatusCode)
		}
		e.want("{}", answered3)
		c := <-conns
		if c.Transport() != signalr.ServerSentEvents {
			t.Errorf("over %v", c.Transport())
		}
		_ = c.Send("Push", "a\nb")
		e.want(`{"type":1,"target":"Push","arguments":["a\nb"]}`)
		second := *e.web
		if a := second.poll(); a.StatusCode != 400 { // a poll
			t.Errorf("second GET: %d", a.StatusCode)
		}
		again, _ := http.NewRequestWithContext(t.Context(), "GET", e.url, nil)
		again.Header.Set("Accept", "text/event-stream")
		if a, err := e.http.Do(again); err != nil || a.StatusCode != 409 {
			t.Errorf("second stream: %v, %v", a, err)
		}
		if a := e.do(t.Context(), "DELETE", ""); a.StatusCode != 400 {
			t.Errorf("DELETE: %d", a.StatusCode)
		}
		e.cancel()
		if err := <-ended; !errors.Is(err, transport.ErrGone) {
			t.Errorf("ended with %v", err)
		}
		synctest.Wait()
		if a := e.post(""); a.StatusCode != 404 {
			t.Errorf("POST after the end: %d", a.StatusCode)
		}
	})
}

func TestEventStreamsEnd(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(h *site, e *events)
		want []string
	}{
		{"close message", func(h *site, e *events) { e.post("{\"type\":7}\x1e") }, nil},
		{"drain", func(h *site, e *events) { go h.stop() }, []string{`{"type":7,"allowReconnect":true}`}},
		{"silence", func(h *site, e *events) { e.post("{\"type\":6}\x1e") }, []string{`{"type":6}`, `{"type":7,"error":"Connection closed with an error.","allowReconnect":true}`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newSite(t, signalr.Config{}, nil)
				e := h.stream(t, "")
				e.line()
				e.post(hello)
				e.want("{}")
				tc.end(h, e)
				if tc.want != nil {
					e.want(tc.want...)
				}
				for line := e.line(); line != "EOF"; line = e.line() {
					if line != "\r\n" {
						t.Fatalf("got line %q, want the end", line)
					}
				}
				time.Sleep(time.Minute)
				if n := h.Stats().Connections; n != 0 {
					t.Errorf("%d connections", n)
				}
			})
		})
	}
}

func TestBinaryNeedsMoreThanEvents(t *testing.T) {
	h := newSite(t, signalr.Config{}, nil)
	e := h.stream(t, "")
	e.line()
	e.post(`{"protocol":"messagepack","version":1}` + "\x1e")
	e.want(`{"error":"Cannot use the 'messagepack' protocol on the current transport. The transport does not support 'Binary' transfer format."}`)
}

// TestIdleEventStreamLives: the bound of one write is none for the answer, also
// over HTTP/2, where a deadline that passes ends it.
func TestIdleEventStreamLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newSite(t, signalr.Config{TransportSendTimeout: time.Second, KeepAliveInterval: 15 * time.Second}, nil)
		var two http.Protocols
		two.SetUnencryptedHTTP2(true)
		way := &http.Transport{DialContext: h.pipe.Dial, Protocols: &two}
		defer way.CloseIdleConnections()
		w := &web{t, &http.Client{Transport: way}, hubURL + "?id=" + h.negotiate(t, "?negotiateVersion=1").ConnectionToken}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r, _ := http.NewRequestWithContext(ctx, "GET", w.url, nil)
		r.Header.Set("Accept", "text/event-stream")
		a, err := w.http.Do(r)
		if err != nil || a.ProtoMajor != 2 {
			t.Fatalf("%v, %v", a, err)
		}
		e := &events{w, a, bufio.NewReader(a.Body), cancel}
		e.line()
		e.post(hello)
		e.want("{}")
		for range 5 {
			e.want(`{"type":6}`)
		}
	})
}
