package cli

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestSayTellsWhatTheDeviceLacks: an order that failed by its device's loudspeaker ends
// with what that device says of it.
func TestSayTellsWhatTheDeviceLacks(t *testing.T) {
	const order = `{"id":"o-1","state":"failed","reason":"device_error","history":[{"state":"accepted","at":"2026-11-21T10:00:00.000Z","device":null,"reason":null}`
	for name, c := range map[string]struct{ history, status, want string }{
		"it says what":   {`,{"state":"assigned","at":"2026-11-21T10:00:01.000Z","device":"h9","reason":null}`, `{"v":1,"online":true,"boot":1,"conn":1,"health":{"faults":{"audio":"no sound in this kernel"}}}`, "order o-1: device_error: h9: audio: no sound in this kernel\n"},
		"it says naught": {`,{"state":"assigned","at":"2026-11-21T10:00:01.000Z","device":"h9","reason":null}`, `{"v":1,"online":true,"boot":1,"conn":1}`, "order o-1: device_error: see tacet device show h9\n"},
		"nobody had it":  {"", "", "order o-1: device_error: no device there has a loudspeaker that works; see tacet device list, and tacet device show\n"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				answer := order + c.history + "]}"
				switch {
				case r.Method == http.MethodPost:
					w.WriteHeader(http.StatusAccepted)
					answer = `{"id":"o-1","state":"accepted","estimated_start":"2026-11-21T10:00:00.000Z","after":null}`
				case strings.HasPrefix(r.URL.Path, "/api/v1/topics"):
					answer = `{"items":[{"topic":"tacet/device/h9/status","payload":` + c.status + `}],"next":null}`
				}
				_, _ = io.WriteString(w, answer)
			}))
			defer srv.Close()
			exit, _, stderr := run(t, map[string]string{"TACET_URL": srv.URL}, "say", "--device", "h9", "--wait", "x")
			if exit != ExitFailed || !strings.HasSuffix(stderr, c.want) {
				t.Errorf("exit %d, %q, want %q", exit, stderr, c.want)
			}
		})
	}
}
