package e2e

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/conformance/testhub"
)

// The npm client calls every method of the conformance hub over every
// transport: results, errors, events, groups, streams, uploads, client results.
func TestNPMCallsTheConformanceHub(t *testing.T) {
	site, err := testhub.New(signalr.Config{AllowStatefulReconnects: true}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = site.Run(ctx) }) // never fails
	server := httptest.NewServer(site)
	t.Cleanup(func() { stop(); running.Wait(); server.CloseClientConnections(); server.Close() })
	for _, c := range []struct{ encoding, transport string }{
		{"json", "WebSockets"}, {"json", "ServerSentEvents"}, {"json", "LongPolling"},
		{"messagepack", "WebSockets"}, {"messagepack", "LongPolling"}, // server-sent events are text alone
	} {
		t.Run(c.encoding+" "+c.transport, func(t *testing.T) {
			p := script(t, "dispatch.mjs", server.URL, c.encoding, c.transport)
			p.line(0, "end of the checks", func(s string) bool {
				if strings.HasPrefix(s, "not ok") {
					t.Error(s)
				}
				return s == "done"
			})
			p.wait()
		})
	}
}
