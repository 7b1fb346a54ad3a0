package cli

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

func TestHealth(t *testing.T) {
	status := "ready"
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" || status == "" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if status == "draining" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprintf(w, `{"status":%q,"parts":{}}`, status)
	}))
	defer srv.Close()
	dir := t.TempDir()
	probe := func(args ...string) (int, string, string) {
		return run(t, map[string]string{"TACET_DATA": dir}, append([]string{"health"}, args...)...)
	}
	if exit, _, _ := probe(); exit != ExitUnreachable {
		t.Errorf("no hub: exit %d", exit)
	}
	if err := os.WriteFile(filepath.Join(dir, "ready.json"), []byte(`{"admin":"`+srv.URL+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		status       string
		alive, ready int
	}{{"ready", 0, 0}, {"degraded", 0, 0}, {"draining", 0, ExitFailed}, {"", ExitUnreachable, ExitUnreachable}} {
		status = c.status
		if exit, out, _ := probe(); exit != c.alive || exit == 0 && out != c.status+"\n" {
			t.Errorf("%q: exit %d, says %q", c.status, exit, out)
		}
		if exit, _, _ := probe("--ready"); exit != c.ready {
			t.Errorf("%q: exit %d with --ready", c.status, exit)
		}
	}
	srv.Close()
	if exit, _, _ := probe(); exit != ExitUnreachable {
		t.Errorf("a hub that is gone: exit %d", exit)
	}
}

func TestReachable(t *testing.T) {
	for listens, want := range map[string]string{
		"http://0.0.0.0:8080": "http://localhost:8080", "https://[::]:8443": "https://localhost:8443",
		"http://127.0.0.1:8080": "http://127.0.0.1:8080", "http://10.0.0.5:80": "http://10.0.0.5:80", "http://hub:80": "http://hub:80",
	} {
		if got := reachable(listens); got != want {
			t.Errorf("%s is reached at %s, want %s", listens, got, want)
		}
	}
}
