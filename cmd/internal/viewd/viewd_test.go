package viewd

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Without a server, and without a node of the hub, the page is there and says that the
// hub is degraded; nothing else is answered.
func TestAlone(t *testing.T) {
	for _, cfg := range []Config{{}, {Redis: "redis://127.0.0.1:1", Node: "a b"}, {Redis: "ftp://x"}, {Redis: "redis://127.0.0.1:1", Addr: "nowhere:x"}} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
	v, err := New(Config{Redis: "unix://" + filepath.Join(t.TempDir(), "none"), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- v.Run(ctx) }()
	url := <-v.Ready()
	client := http.Client{Timeout: time.Minute}
	for _, c := range []struct {
		method, path string
		status       int
		has          string
	}{
		{"GET", "/", 200, "<title>Tacet</title>"},
		{"GET", "/healthz", 200, `"ok"`},
		{"GET", "/readyz", 200, `"status":"degraded"`},
		{"GET", "/api/v1/nodes", 200, `"kind":"view"`},
		{"GET", "/api/v1/areas", 503, `"code":"degraded"`},
		{"POST", "/api/v1/stop", 503, `"code":"degraded"`},
		{"GET", "/auth/login", 503, `"code":"degraded"`},
		{"POST", "/hubs/devices/negotiate?negotiateVersion=1", 401, ""},
	} {
		req, _ := http.NewRequest(c.method, url+c.path, nil)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		_ = resp.Write(&b)
		_ = resp.Body.Close()
		if resp.StatusCode != c.status || !strings.Contains(b.String(), c.has) {
			t.Errorf("%s %s: %s", c.method, c.path, b.String())
		}
	}
	client.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
