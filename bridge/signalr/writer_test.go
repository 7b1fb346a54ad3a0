package signalr_test

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tacet-hub/tacet/bridge/signalr"
)

// overTCP serves a hub over sockets, where writing does not wait, and dials
// members of group g whose sockets hold little.
func overTCP(t *testing.T, cfg signalr.Config, set func(*signalr.Server)) (h *site, dial func() *websocket.Conn) {
	t.Helper()
	h = newSite(t, cfg, func(s *signalr.Server) {
		s.OnConnect(func(c *signalr.Conn) { _, _ = c.Join("g") })
		set(s)
	})
	web := httptest.NewServer(http.Handler(h))
	t.Cleanup(web.Close)
	d := websocket.Dialer{NetDial: func(network, addr string) (net.Conn, error) {
		c, err := net.Dial(network, addr)
		if err == nil {
			_ = c.(*net.TCPConn).SetReadBuffer(256 << 10)
		}
		return c, err
	}}
	return h, func() *websocket.Conn {
		before := len(h.Members("g"))
		ws, _, err := d.Dial("ws"+strings.TrimPrefix(web.URL, "http")+"/hub", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ws.Close() })
		_ = ws.WriteMessage(websocket.TextMessage, []byte(hello))
		if _, p, err := ws.ReadMessage(); err != nil || string(p) != "{}\x1e" {
			t.Fatalf("%q, %v", p, err)
		}
		for len(h.Members("g")) == before {
			time.Sleep(time.Millisecond) // OnConnect runs behind the answer
		}
		return ws
	}
}

// TestNothingIsLostWhenThePeerPauses: what the kernel takes only in part, or not
// at all, comes whole and in order when the peer reads again; in small groups,
// which the sender writes to, and in larger ones.
func TestNothingIsLostWhenThePeerPauses(t *testing.T) {
	// The members are read one after the other: on a busy machine the last ones
	// wait longer than a peer may that is not cut.
	cfg := signalr.Config{OutboxBytes: 64 << 20, TransportSendTimeout: time.Hour, ClientTimeoutInterval: time.Hour}
	for _, members := range []int{1, 6} {
		h, dial := overTCP(t, cfg, func(*signalr.Server) {})
		var list []*websocket.Conn
		for range members {
			list = append(list, dial())
		}
		const events = 150
		text := strings.Repeat("x", 10_000)
		for n := range events {
			if sent := h.Group("g").Send("Push", n, text); sent != members {
				t.Fatalf("event %d was queued for %d of %d", n, sent, members)
			}
		}
		for i, ws := range list {
			for n := range events {
				_, p, err := ws.ReadMessage()
				var m struct{ Arguments []json.RawMessage }
				if err != nil || json.Unmarshal(p[:len(p)-1], &m) != nil || len(m.Arguments) != 2 {
					t.Fatalf("member %d of %d: %.80q, %v", i, members, p, err)
				}
				if got := string(m.Arguments[0]); got != jsonInt(n) || len(m.Arguments[1]) != len(text)+2 {
					t.Fatalf("member %d of %d got event %s with %d bytes, want %d", i, members, got, len(m.Arguments[1]), n)
				}
			}
		}
		if s := h.Stats(); s.SlowDisconnects != 0 {
			t.Errorf("%+v", s)
		}
	}
}

func jsonInt(n int) string {
	b, _ := json.Marshal(n)
	return string(b)
}

// TestBlockedSocketIsCut: a peer that takes nothing is cut by time, and the
// others get everything meanwhile.
func TestBlockedSocketIsCut(t *testing.T) {
	ended := make(chan error, 8)
	h, dial := overTCP(t, signalr.Config{OutboxBytes: 64 << 20, TransportSendTimeout: 2 * time.Second}, func(s *signalr.Server) {
		s.OnDisconnect(func(_ *signalr.Conn, err error) { ended <- err })
	})
	for range 5 {
		dial() // and reads nothing
	}
	reader := dial()
	const events = 100
	text := strings.Repeat("x", 50_000)
	for range events {
		h.Group("g").Send("Push", text)
		if _, _, err := reader.ReadMessage(); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		if err := <-ended; !errors.Is(err, signalr.ErrSlow) {
			t.Errorf("ended with %v", err)
		}
	}
	if n := len(h.Members("g")); n != 1 {
		t.Errorf("%d members left", n)
	}
}
