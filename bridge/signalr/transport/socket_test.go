package transport_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tacet-hub/tacet/bridge/signalr/transport"
)

// TestReceiveOverTCP: what comes over a real socket, and every way in which it
// ends.
func TestReceiveOverTCP(t *testing.T) {
	sockets := make(chan *transport.Socket, 1)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		events := transport.Events{Ping: func(string) {}, Close: func(int) {}}
		s, err := transport.Upgrade(w, r, func(*http.Request) bool { return true }, events)
		if err != nil {
			t.Error(err)
		}
		sockets <- s
	}))
	defer web.Close()
	for _, tc := range []struct {
		name string
		end  func(s *transport.Socket, ws *websocket.Conn)
		want error
	}{
		{"close frame", func(_ *transport.Socket, ws *websocket.Conn) {
			_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Time{})
		}, io.EOF},
		{"deadline", func(s *transport.Socket, _ *websocket.Conn) { _ = s.SetReadDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		{"closed by the server", func(s *transport.Socket, _ *websocket.Conn) { _ = s.Close() }, net.ErrClosed},
		{"peer is gone", func(_ *transport.Socket, ws *websocket.Conn) { _ = ws.Close() }, nil},
		{"peer is gone with a reset", func(_ *transport.Socket, ws *websocket.Conn) {
			_ = ws.NetConn().(*net.TCPConn).SetLinger(0)
			_ = ws.Close()
		}, nil},
	} {
		ws, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(web.URL, "http"), nil)
		if err != nil {
			t.Fatal(err)
		}
		s := <-sockets
		got, all := "", strings.Repeat("0123456789", 10_000)
		_ = ws.WriteMessage(websocket.TextMessage, []byte(all))
		if err := s.Receive(func(p []byte) error { got += string(p); return nil }); err != nil || got != all {
			t.Errorf("%s: %d bytes, %v", tc.name, len(got), err)
		}
		ended := make(chan error, 1)
		go func() { ended <- s.Receive(func([]byte) error { return nil }) }() // waits, or finds it ended
		tc.end(s, ws)
		err = <-ended
		if tc.want != nil && !errors.Is(err, tc.want) || err == nil || tc.want == nil && errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: ended with %v, want %v", tc.name, err, tc.want)
		}
		_ = s.Close()
		_ = ws.Close()
	}
}
