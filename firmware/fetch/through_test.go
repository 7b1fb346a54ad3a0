package fetch

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A way of its own is taken where there is one, and only then; what is wrong with it
// is said.
func TestAnotherWay(t *testing.T) {
	hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "a clip") }))
	defer hub.Close()
	at := strings.TrimPrefix(hub.URL, "http://")
	broken := errors.New("the neighbour does not carry")
	for name, c := range map[string]struct {
		base string
		way  func(ctx context.Context, addr string) (net.Conn, error)
		want error
	}{
		"there is none": {hub.URL, func(context.Context, string) (net.Conn, error) { return nil, nil }, nil},
		"there is one": {"http://hub.invalid:8080", func(ctx context.Context, addr string) (net.Conn, error) {
			if addr != "hub.invalid:8080" {
				t.Errorf("asked for the way to %s", addr)
			}
			return (&net.Dialer{}).DialContext(ctx, "tcp", at)
		}, nil},
		"it is broken": {hub.URL, func(context.Context, string) (net.Conn, error) { return nil, broken }, broken},
	} {
		w := NewWeb(WebConfig{Through: c.way})
		res, err := w.Get(t.Context(), c.base, "/clips/x", nil)
		if !errors.Is(err, c.want) || c.want != nil && err == nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if err == nil {
			if b, _ := io.ReadAll(res.Body); string(b) != "a clip" {
				t.Errorf("%s: got %q", name, b)
			}
			_ = res.Body.Close()
		}
		w.Close()
	}
}
