package leader

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// tlsHub is a broker that speaks TLS too, and its address for that.
func tlsHub(t *testing.T, show tls.Certificate) (*broker.Broker, string) {
	t.Helper()
	b, err := broker.New(broker.Config{Addr: "127.0.0.1:0", TLSAddr: "127.0.0.1:0", TLS: &tls.Config{Certificates: []tls.Certificate{show}}}, slog.New(slog.DiscardHandler))
	if err == nil {
		err = b.Listen()
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = b.Run(ctx) })
	t.Cleanup(func() { cancel(); work.Wait() })
	return b, b.TLSAddr().String()
}

// attempts hears why a client is not connected.
type attempts chan error

func (a attempts) Enabled(context.Context, slog.Level) bool { return true }
func (a attempts) WithAttrs([]slog.Attr) slog.Handler       { return a }
func (a attempts) WithGroup(string) slog.Handler            { return a }
func (a attempts) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(at slog.Attr) bool {
		if err, ok := at.Value.Any().(error); ok && at.Key == "err" {
			select {
			case a <- err:
			default:
			}
		}
		return true
	})
	return nil
}

// A member without an uplink reaches a hub that speaks TLS through a neighbour, and
// judges the hub's certificate as if there were none between: by the name that it
// has for the hub, whatever address the neighbour dials. Whoever shows another one,
// the hub or the neighbour, gets no word of MQTT.
func TestRelayCarriesTLS(t *testing.T) {
	t.Parallel()
	ca, stranger := brokertest.NewCA(t), brokertest.NewCA(t)
	named := func(name string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{name}, nil }
	}
	for name, c := range map[string]struct {
		show tls.Certificate
		want string // of the error; empty: connected
	}{
		"the hub's":          {ca.Certificate(t, "hub", named("hub.example")), ""},
		"a stranger's":       {stranger.Certificate(t, "hub", named("hub.example")), "unknown authority"},
		"of another machine": {ca.Certificate(t, "gate-1", named("gate-1.example")), "not hub.example"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, at := tlsHub(t, c.show)
			p := roster(1)
			p.Members = append(p.Members, area.Member{Device: "gate-2", Index: 17})
			relay, door := carries(t, p, "mqtts://"+at)
			member, tried, up := carriedBy(t, p, door, ca.Pool)
			if c.want != "" {
				if err := <-tried; err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("tried with %v, want %q", err, c.want)
				}
				if n := b.Stats().Connections; n != 0 || len(up) > 0 || relay.count.carried.Load() == 0 {
					t.Errorf("the hub has %d connections; %d carried", n, relay.count.carried.Load())
				}
				return
			}
			<-up
			heard := make(chan area.Message, 1)
			defer subscribe(t, b, heard)()
			if err := member.Publish(t.Context(), area.Message{Topic: area.StatusTopic("gate-2"), Payload: []byte("{}"), QoS: 1}); err != nil {
				t.Fatal(err)
			}
			if m := <-heard; m.From != "gate-2" || relay.count.carried.Load() != 1 {
				t.Errorf("heard %+v; %d carried", m, relay.count.carried.Load())
			}
		})
	}
}

func subscribe(t *testing.T, b *broker.Broker, heard chan<- area.Message) (cancel func()) {
	t.Helper()
	cancel, err := b.Subscribe(area.StatusTopic("gate-2"), func(m area.Message) { heard <- m })
	if err != nil {
		t.Fatal(err)
	}
	return cancel
}

// carriedBy runs gate-2, whose hub is hub.example and has a certificate of one of
// the roots, and who is carried there by gate-1.
func carriedBy(t *testing.T, p area.Peers, door netip.AddrPort, roots *x509.CertPool) (*uplink.Client, <-chan error, <-chan bool) {
	t.Helper()
	tried, up := make(attempts, 8), make(chan bool, 8)
	c, err := uplink.New(uplink.Config{Hubs: []string{"mqtts://hub.example:8883"}, ClientID: "gate-2", TLS: &tls.Config{RootCAs: roots}}, slog.New(tried))
	if err != nil {
		t.Fatal(err)
	}
	to := c.Home()
	to.Via = "gate-1"
	to.Open = func(ctx context.Context, hub *url.URL) (net.Conn, error) {
		return carried(ctx, "gate-2", "gate-1", p.Key, door, hub)
	}
	if err := c.Aim(to); err != nil {
		t.Fatal(err)
	}
	c.Watch(func(is bool, _ uint64, _ string) {
		if is {
			up <- is
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = c.Run(ctx) })
	t.Cleanup(func() { cancel(); work.Wait() })
	return c, tried, up
}
