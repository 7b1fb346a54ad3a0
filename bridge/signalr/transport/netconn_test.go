package transport_test

import (
	"bytes"
	"context"
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

// stream serves NetConn and hands over what it makes.
func stream(t *testing.T, check func(*http.Request) bool) (url string, conns chan net.Conn) {
	t.Helper()
	conns = make(chan net.Conn, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := transport.NetConn(w, r, "mqtt", check); err == nil {
			conns <- c
		}
	}))
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http"), conns
}

func dial(t *testing.T, url string, header http.Header, protocols ...string) (*websocket.Conn, int) {
	t.Helper()
	d := websocket.Dialer{Subprotocols: protocols}
	ws, answer, err := d.Dial(url, header)
	if err != nil {
		if answer == nil {
			t.Fatal(err)
		}
		return nil, answer.StatusCode
	}
	t.Cleanup(func() { _ = ws.Close() })
	return ws, answer.StatusCode
}

func TestNetConn(t *testing.T) {
	url, conns := stream(t, nil)
	ws, _ := dial(t, url, nil, "mqttv3.1", "mqtt")
	if ws.Subprotocol() != "mqtt" {
		t.Errorf("subprotocol %q", ws.Subprotocol())
	}
	c := <-conns
	defer c.Close()
	for _, part := range []string{"ab", "", "cdef"} {
		if err := ws.WriteMessage(websocket.BinaryMessage, []byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	got := make([]byte, 6)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "abcdef" {
		t.Errorf("read %q, %v", got, err)
	}
	for _, n := range []int{1, 200, 100_000} {
		want := bytes.Repeat([]byte("x"), n)
		if m, err := c.Write(want); m != n || err != nil {
			t.Errorf("write %d: %d, %v", n, m, err)
		}
		kind, got, err := ws.ReadMessage()
		if kind != websocket.BinaryMessage || !bytes.Equal(got, want) || err != nil {
			t.Errorf("message of %d: kind %d, %d bytes, %v", n, kind, len(got), err)
		}
	}
}

func TestNetConnEnds(t *testing.T) {
	url, conns := stream(t, nil)
	t.Run("peer closes without a code", func(t *testing.T) {
		ws, _ := dial(t, url, nil, "mqtt")
		c := <-conns
		defer c.Close()
		_ = ws.WriteControl(websocket.CloseMessage, nil, time.Now().Add(time.Second))
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("read: %v", err)
		}
		var closed *websocket.CloseError
		if _, _, err := ws.ReadMessage(); !errors.As(err, &closed) || closed.Code != 1000 {
			t.Errorf("answered with %v, want 1000", err)
		}
	})
	t.Run("text message", func(t *testing.T) {
		ws, _ := dial(t, url, nil, "mqtt")
		c := <-conns
		defer c.Close()
		_ = ws.WriteMessage(websocket.TextMessage, []byte("x"))
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("text was read")
		}
		var closed *websocket.CloseError
		if _, _, err := ws.ReadMessage(); !errors.As(err, &closed) || closed.Code != 1003 {
			t.Errorf("answered with %v, want 1003", err)
		}
	})
	t.Run("ping", func(t *testing.T) {
		ws, _ := dial(t, url, nil, "mqtt")
		c := <-conns
		pong := make(chan string, 1)
		ws.SetPongHandler(func(data string) error { pong <- data; return nil })
		_ = ws.WriteControl(websocket.PingMessage, []byte("hi"), time.Now().Add(time.Second))
		go func() { _, _ = c.Read(make([]byte, 1)) }()
		go func() { _, _, _ = ws.ReadMessage() }()
		if got := <-pong; got != "hi" {
			t.Errorf("pong %q", got)
		}
		_ = c.Close()
	})
	t.Run("deadlines", func(t *testing.T) {
		dial(t, url, nil, "mqtt")
		c := <-conns
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(-time.Second))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: %v", err)
		}
		if _, err := c.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write: %v", err)
		}
	})
	t.Run("our close", func(t *testing.T) {
		ws, _ := dial(t, url, nil, "mqtt")
		c := <-conns
		_ = c.Close()
		var closed *websocket.CloseError
		if _, _, err := ws.ReadMessage(); !errors.As(err, &closed) || closed.Code != 1000 {
			t.Errorf("answered with %v, want 1000", err)
		}
		if _, err := c.Write([]byte("x")); err == nil {
			t.Error("written after the end")
		}
	})
}

func TestNetConnRefuses(t *testing.T) {
	url, _ := stream(t, nil)
	if _, status := dial(t, url, nil); status != 400 {
		t.Errorf("without subprotocol: %d", status)
	}
	if _, status := dial(t, url, nil, "chat"); status != 400 {
		t.Errorf("with another subprotocol: %d", status)
	}
	if _, status := dial(t, url, http.Header{"Origin": {"https://evil.test"}}, "mqtt"); status != 403 {
		t.Errorf("from another origin: %d", status)
	}
	open, conns := stream(t, func(*http.Request) bool { return true })
	if _, status := dial(t, open, http.Header{"Origin": {"https://wall.test"}}, "mqtt"); status != 101 {
		t.Errorf("from an allowed origin: %d", status)
	}
	_ = (<-conns).Close()
}

func TestDialSaysTheStatus(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	_, err := transport.Dial(context.Background(), "ws"+strings.TrimPrefix(s.URL, "http"), transport.DialConfig{})
	if err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("got %v", err)
	}
}

func TestSeal(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 65_535, 65_536} {
		buf := append(make([]byte, transport.FrameSpace), bytes.Repeat([]byte("x"), n)...)
		frame, payload := transport.Seal(buf, transport.Text)
		if frame[0] != 0x81 || len(frame)-payload != n || payload != 2+map[bool]int{true: 2}[n > 125]+map[bool]int{true: 6}[n > 65_535] {
			t.Errorf("%d bytes: header % x, payload at %d", n, frame[:payload], payload)
		}
	}
}
