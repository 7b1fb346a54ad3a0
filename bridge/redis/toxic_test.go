package redis

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/backplane/backplanetest"
	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
)

// way is a proxy between nodes and their server, which can be poisoned.
type way struct {
	t     *testing.T
	proxy *toxiproxy.Proxy
	names []string
}

func newWay(t *testing.T, e *engine) (*way, *engine) {
	t.Helper()
	zerolog.SetGlobalLevel(zerolog.Disabled) // some toxics do not ask for a logger
	api := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	w := &way{t: t, proxy: toxiproxy.NewProxy(api, "redis", "127.0.0.1:0", e.one.Addr())}
	if err := w.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.proxy.Stop)
	return w, &engine{t: t, one: e.one, url: "redis://" + w.proxy.Listen}
}

// poison adds toxics, in toxiproxy's words, to both directions.
func (w *way) poison(kind, attributes string) {
	w.t.Helper()
	for _, stream := range []string{"upstream", "downstream"} {
		name := kind + "-" + stream
		text := fmt.Sprintf(`{"name": %q, "type": %q, "stream": %q, "toxicity": 1, "attributes": %s}`, name, kind, stream, attributes)
		if _, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
			w.t.Fatal(err)
		}
		w.names = append(w.names, name)
	}
}

func (w *way) heal() {
	w.t.Helper()
	for _, name := range w.names {
		if err := w.proxy.Toxics.RemoveToxic(context.Background(), name); err != nil {
			w.t.Fatal(err)
		}
	}
	w.names = nil
}

// toxics are what is done to the way between a node and the server.
var toxics = []struct {
	name, kind, attributes string
	cut                    bool // nothing comes through: that is told
}{
	{"slow", "latency", `{"latency": 200, "jitter": 100}`, false},
	{"narrow", "bandwidth", `{"rate": 64}`, false},
	{"in pieces", "slicer", `{"average_size": 8, "size_variation": 4, "delay": 20}`, false},
	{"half open", "timeout", `{"timeout": 0}`, true},
	{"reset", "reset_peer", `{"timeout": 0}`, true},
}

// TestBadWay: whatever becomes of the way between a node and the server, what the node
// sends its own members comes at once; what it sends the others comes when the way is
// good again, in order and once.
func TestBadWay(t *testing.T) {
	t.Parallel()
	for _, c := range toxics {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := startEngine(t)
			w, far := newWay(t, e)
			a, b := newHost(t, far, "a"), newHost(t, e, "b")
			_, ha := a.client(t, "north", protocol.JSON)
			_, hb := b.client(t, "north", protocol.JSON)
			met(t, a, hb)
			for next(t, ha) != `"last"` { // its own member hears the same, in its own time
			}
			a.reaches(t, true)
			w.poison(c.kind, c.attributes)
			const n = 300
			begin := time.Now()
			for i := range n {
				a.Group("north").Send("Push", i)
			}
			for i := range n {
				if got := next(t, ha); got != fmt.Sprint(i) {
					t.Fatalf("local event %d is %s", i, got)
				}
			}
			local, through := time.Since(begin), 0
			if c.cut {
				a.reaches(t, false)
				if len(hb) > 0 {
					t.Errorf("%d events have come through nothing", len(hb))
				}
			}
			for ; !c.cut && through < 10; through++ { // late, but there
				if got := next(t, hb); got != fmt.Sprint(through) {
					t.Fatalf("event %d is %s", through, got)
				}
			}
			first := time.Since(begin)
			w.heal()
			healed := time.Now()
			for i := through; i < n; i++ {
				if got := next(t, hb); got != fmt.Sprint(i) {
					t.Fatalf("event %d is %s", i, got)
				}
			}
			if s := b.mux.Plane().Stats(); s.Missed != 0 {
				t.Errorf("stats %+v", s)
			}
			t.Logf("%d local events in %v, %d at the other node after %v; all %v after the way was good", n, local.Round(time.Microsecond), through, first.Round(time.Millisecond), time.Since(healed).Round(time.Millisecond))
		})
	}
}

// reaches waits until the node knows that it can, or cannot, reach the others.
func (h *host) reaches(t *testing.T, up bool) {
	t.Helper()
	late := time.After(backplanetest.Patience)
	for h.mux.Plane().Stats().Connected != up {
		select {
		case <-h.news:
		case <-late:
			t.Fatalf("that the others can be reached is not %v", up)
		}
	}
}

// TestBadWayBack: what comes to a node over a bad way is late, not lost.
func TestBadWayBack(t *testing.T) {
	t.Parallel()
	for _, c := range toxics {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := startEngine(t)
			w, far := newWay(t, e)
			a, b := e.join("a"), far.join("b")
			backplanetest.Start(t, a)
			eb, _ := backplanetest.Start(t, b)
			b.Listen(1, true)
			backplanetest.Hears(t, a, eb, 1)
			w.poison(c.kind, c.attributes)
			publish(t, a, 0, 500)
			if c.cut {
				eb.Until(t, "told of it", func(_ []backplane.Envelope, _ map[string]uint64, _ []string, up bool) bool { return !up })
			}
			w.heal()
			healed := time.Now()
			accounted(t, a, b, eb, 500)
			if s := b.Stats(); s.Missed != 0 {
				t.Errorf("stats %+v", s)
			}
			t.Logf("all %v after the way was good", time.Since(healed).Round(time.Millisecond))
		})
	}
}
