package uplink

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr/transport"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// hubWith serves MQTT with TLS, and over WebSocket with TLS, both with a
// certificate.
func hubWith(t *testing.T, pair tls.Certificate) (mqtts, wss string) {
	t.Helper()
	b := brokertest.New(t)
	cfg := &tls.Config{Certificates: []tls.Certificate{pair}}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { _ = b.Establish(conn) }()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-ended })
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := transport.NetConn(w, r, "mqtt", nil); err == nil {
			_ = b.Establish(conn)
		}
	}))
	web.TLS, web.Config.ErrorLog = cfg, slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	web.StartTLS()
	t.Cleanup(web.Close)
	return "mqtts://" + ln.Addr().String(), "wss://" + strings.TrimPrefix(web.URL, "https://")
}

// TestHubsThatAreNotTrusted: whatever is wrong with the certificate, the device
// does not say who it is.
func TestHubsThatAreNotTrusted(t *testing.T) {
	ca, other := brokertest.NewCA(t), brokertest.NewCA(t)
	elsewhere := func(c *x509.Certificate) {
		c.IPAddresses, c.DNSNames = []net.IP{net.IPv4(192, 0, 2, 7)}, []string{"hub.elsewhere"}
	}
	for name, c := range map[string]struct {
		pair tls.Certificate
		want string // of the error; empty: it connects
	}{
		"good":            {ca.Certificate(t, "hub"), ""},
		"wrong host":      {ca.Certificate(t, "hub", elsewhere), "192.0.2.7"},
		"wrong authority": {other.Certificate(t, "hub"), "unknown authority"},
		"expired":         {ca.Certificate(t, "hub", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), "expired"},
		"not yet valid":   {ca.Certificate(t, "hub", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }), "not yet valid"},
		"self-signed":     {brokertest.SelfSigned(t, "hub"), "unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			mqtts, wss := hubWith(t, c.pair)
			for _, hub := range []string{mqtts, wss} {
				client, err := New(Config{Hubs: []string{hub}, ClientID: "gate-1", TLS: &tls.Config{RootCAs: ca.Pool}}, slog.New(slog.DiscardHandler))
				if err != nil {
					t.Fatal(err)
				}
				u, _ := url.Parse(hub)
				conn, err := client.dial(t.Context(), u)
				if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: %v, want %q", hub, err, c.want)
				}
				if err == nil {
					_ = conn.Close()
				}
			}
		})
	}
}

// TestConnectsWithTLS: a device with a private authority is connected, by both
// ways.
func TestConnectsWithTLS(t *testing.T) {
	ca := brokertest.NewCA(t)
	mqtts, wss := hubWith(t, ca.Certificate(t, "hub"))
	for _, hub := range []string{mqtts, wss} {
		client, err := New(Config{Hubs: []string{hub}, ClientID: "gate-1", TLS: &tls.Config{RootCAs: ca.Pool}}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		up := make(chan bool, 10)
		client.Watch(func(is bool, _ uint64, _ string) { up <- is })
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- client.Run(ctx) }()
		select {
		case <-up:
		case <-time.After(time.Minute):
			t.Errorf("%s: not connected", hub)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestVerificationIsNotSwitchedOff(t *testing.T) {
	if err := (Config{Hubs: []string{"mqtts://hub"}, ClientID: "x", TLS: &tls.Config{InsecureSkipVerify: true}}).Validate(); err == nil {
		t.Error("it may be switched off")
	}
	c, err := New(Config{Hubs: []string{"mqtts://hub"}, ClientID: "x", TLS: &tls.Config{MinVersion: tls.VersionTLS10}}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil || c.cfg.TLS.MinVersion != tls.VersionTLS12 {
		t.Errorf("%v; the oldest version is not 1.2", err)
	}
}

// A device whose clock is not set tries again, without saying who it is, until the
// clock is: then it is connected, soon.
func TestClockThatIsNotSet(t *testing.T) {
	ca := brokertest.NewCA(t)
	mqtts, wss := hubWith(t, ca.Certificate(t, "hub", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(-time.Hour) }))
	for _, hub := range []string{mqtts, wss} {
		var set atomic.Bool
		clock := func() time.Time {
			if set.Load() {
				return time.Now()
			}
			return time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
		}
		tried := make(chan bool, 100)
		log := slog.New(tries{tried})
		client, err := New(Config{Hubs: []string{hub}, ClientID: "gate-1", TLS: &tls.Config{RootCAs: ca.Pool, Time: clock}}, log)
		if err != nil {
			t.Fatal(err)
		}
		up := make(chan bool, 10)
		client.Watch(func(is bool, _ uint64, _ string) { up <- is })
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- client.Run(ctx) }()
		for range 2 {
			<-tried
		}
		select {
		case <-up:
			t.Errorf("%s: connected before the clock was set", hub)
		default:
		}
		set.Store(true)
		select {
		case <-up:
		case <-time.After(time.Minute):
			t.Errorf("%s: not connected after the clock was set", hub)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// However often it was tried, the wait for a clock stays short; that for a hub
// does not.
func TestWaitForTheClock(t *testing.T) {
	now := time.Now()
	cert := &x509.Certificate{NotBefore: now.Add(time.Hour), NotAfter: now.Add(2 * time.Hour)}
	wrap := func(err error) error { return fmt.Errorf("connect: %w", &tls.CertificateVerificationError{Err: err}) }
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"not yet valid": {wrap(x509.CertificateInvalidError{Cert: cert, Reason: x509.Expired}), true},
		"expired":       {wrap(x509.CertificateInvalidError{Cert: &x509.Certificate{NotAfter: now.Add(-time.Hour)}, Reason: x509.Expired}), false},
		"wrong host":    {wrap(x509.HostnameError{Certificate: cert, Host: "x"}), false},
		"no hub":        {net.ErrClosed, false},
		"nothing":       {nil, false},
	} {
		if got := early(c.err, now); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// tries is a log that tells of each attempt before the clock was set.
type tries struct{ tried chan bool }

func (t tries) Enabled(context.Context, slog.Level) bool { return true }
func (t tries) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, "not valid yet") {
		t.tried <- true
	}
	return nil
}
func (t tries) WithAttrs([]slog.Attr) slog.Handler { return t }
func (t tries) WithGroup(string) slog.Handler      { return t }
