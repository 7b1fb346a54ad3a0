package signalr_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
)

func TestCloseCodes(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(ws *websocket.Conn) error
		want int
	}{
		{"without a code", func(ws *websocket.Conn) error {
			return ws.WriteControl(websocket.CloseMessage, nil, time.Time{})
		}, 1000},
		{"tab closed", func(ws *websocket.Conn) error {
			return ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1001, ""), time.Time{})
		}, 1001},
		{"close message", func(ws *websocket.Conn) error {
			return ws.WriteMessage(websocket.TextMessage, []byte("{\"type\":7}\x1e"))
		}, 1000},
		{"bad input", func(ws *websocket.Conn) error { return ws.WriteMessage(websocket.TextMessage, []byte("{}\x1e")) }, 1000},
		{"panic in a hook", func(ws *websocket.Conn) error { return ws.WriteMessage(websocket.TextMessage, []byte(callAdd)) }, 1011},
		{"too big", func(ws *websocket.Conn) error { return ws.WriteMessage(websocket.TextMessage, make([]byte, 40_000)) }, 1009},
	} {
		h := newSite(t, signalr.Config{}, func(s *signalr.Server) {
			s.OnConnect(func(*signalr.Conn) {
				if tc.want == 1011 {
					panic(tc.name)
				}
			})
		})
		d := websocket.Dialer{NetDialContext: h.pipe.Dial}
		ws, _, err := d.Dial("ws://hub.test/hub", nil)
		if err != nil {
			t.Fatal(err)
		}
		pong := make(chan string, 1)
		ws.SetPongHandler(func(data string) error { pong <- data; return nil })
		_ = ws.WriteMessage(websocket.TextMessage, []byte(hello))
		_ = ws.WriteControl(websocket.PingMessage, []byte("hi"), time.Time{})
		go func() { _ = tc.do(ws) }()
		for err == nil {
			_, _, err = ws.ReadMessage()
		}
		var closed *websocket.CloseError
		if !errors.As(err, &closed) || closed.Code != tc.want {
			t.Errorf("%s: ended with %v, want %d", tc.name, err, tc.want)
		}
		if tc.want != 1011 { // which ends before the ping
			if got := <-pong; got != "hi" {
				t.Errorf("%s: pong %q", tc.name, got)
			}
		}
		_ = ws.Close()
	}
}

// TestCloseIsNotAwaitedForEver: a peer that does not answer the close frame is
// left after CloseTimeout.
func TestCloseIsNotAwaitedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		h := newSite(t, signalr.Config{}, func(s *signalr.Server) { s.OnDisconnect(func(_ *signalr.Conn, err error) { ended <- err }) })
		d := websocket.Dialer{NetDialContext: h.pipe.Dial}
		ws, _, err := d.Dial("ws://hub.test/hub", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer ws.Close()
		ws.SetCloseHandler(func(int, string) error { return nil })
		_ = ws.WriteMessage(websocket.TextMessage, []byte(hello))
		_, _, _ = ws.ReadMessage()
		synctest.Wait()
		start := time.Now()
		h.Conns()[0].Close(nil)
		for err == nil {
			_, _, err = ws.ReadMessage()
		}
		if err := <-ended; err != signalr.ErrClosed || time.Since(start) != 5*time.Second {
			t.Errorf("ended with %v after %v", err, time.Since(start))
		}
	})
}

func TestOverTLS(t *testing.T) {
	h := newSite(t, signalr.Config{}, nil)
	web := httptest.NewTLSServer(http.Handler(h))
	defer web.Close()
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	c, err := signalrtest.Dial(t.Context(), web.URL+"/hub", signalrtest.Options{TLS: &tls.Config{RootCAs: roots}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	text := strings.Repeat("x", 20_000)
	for range 10 {
		if got := invoke(t, c, "Echo", text); got != `"`+text+`"` {
			t.Errorf("echo of %d bytes", len(got))
		}
	}
}
