package signalr_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/bridge/signalr/transport"
)

// raw is a client that writes what the tests want, byte for byte.
type raw struct {
	t    *testing.T
	link *transport.Client
	rest string
}

const hello = `{"protocol":"json","version":1}` + "\x1e"

func (h *site) raw(t *testing.T, query string) *raw {
	t.Helper()
	link, err := transport.Dial(context.Background(), "ws://hub.test/hub"+query, transport.DialConfig{NetDial: h.pipe.Dial})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = link.Close() })
	return &raw{t: t, link: link}
}

// greeted is a raw client that has shaken hands.
func (h *site) greeted(t *testing.T, query string) *raw {
	t.Helper()
	r := h.raw(t, query)
	r.send(hello)
	r.want("{}")
	return r
}

func (r *raw) send(text string) {
	r.t.Helper()
	if err := r.link.Send([]byte(text)); err != nil {
		r.t.Fatalf("send %.80q: %v", text, err)
	}
}

// next returns the next record, or "EOF" after the close frame and "cut" when
// there was none.
func (r *raw) next() string {
	for {
		if record, rest, ok := strings.Cut(r.rest, "\x1e"); ok {
			r.rest = rest
			return record
		}
		err := r.link.Receive(func(p []byte) error { r.rest += string(p); return nil })
		switch {
		case errors.Is(err, io.EOF):
			return "EOF"
		case err != nil:
			return "cut"
		}
	}
}

func (r *raw) want(records ...string) {
	r.t.Helper()
	for _, want := range records {
		if got := r.next(); got != want {
			r.t.Fatalf("got %.200s, want %.200s", got, want)
		}
	}
}

// status serves one request without a network.
func (h *site) status(method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

var upgrading = []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}

var _ http.Handler = (*site)(nil)
