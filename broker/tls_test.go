package broker_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// withTLS is a broker with a TLS listener, and its authority.
func withTLS(t testing.TB, change ...func(*broker.Config, *brokertest.CA)) (*broker.Broker, *brokertest.CA) {
	t.Helper()
	ca := brokertest.NewCA(t)
	cfg := broker.Config{TLSAddr: "127.0.0.1:0", TLS: &tls.Config{Certificates: []tls.Certificate{ca.Certificate(t, "hub")}}}
	for _, f := range change {
		f(&cfg, ca)
	}
	return overTCP(t, cfg, silent), ca
}

// mutual demands a certificate of the same authority.
func mutual(c *broker.Config, ca *brokertest.CA) {
	c.TLS.ClientCAs, c.TLS.ClientAuth = ca.Pool, tls.RequireAndVerifyClientCert
}

// dialTLS shakes hands; TLS 1.3 tells a client of a refusal at its first read.
func dialTLS(b *broker.Broker, cfg *tls.Config) (*tls.Conn, error) {
	return tls.DialWithDialer(&net.Dialer{Timeout: time.Minute}, "tcp", b.TLSAddr().String(), cfg)
}

func secureRaw(t testing.TB, b *broker.Broker, cfg *tls.Config, version byte) *raw {
	t.Helper()
	c, err := dialTLS(b, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	return newRaw(t, c, version)
}

func TestTLSVersions(t *testing.T) {
	b, ca := withTLS(t)
	w := b.Watch(0)
	defer w.Close()
	for name, c := range map[string]struct {
		version uint16
		ok      bool
	}{
		"1.0": {tls.VersionTLS10, false}, "1.1": {tls.VersionTLS11, false}, "1.2": {tls.VersionTLS12, true}, "1.3": {tls.VersionTLS13, true},
	} {
		conn, err := dialTLS(b, &tls.Config{RootCAs: ca.Pool, MinVersion: c.version, MaxVersion: c.version})
		if (err == nil) != c.ok {
			t.Errorf("TLS %s: %v; want accepted: %t", name, err, c.ok)
		}
		if err != nil {
			continue
		}
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		if ack := newRaw(t, conn, 5).connect("v" + name); ack.ReasonCode != 0 {
			t.Errorf("TLS %s: CONNACK %#x", name, ack.ReasonCode)
		}
		_ = conn.Close()
	}
	plain, err := net.Dial("tcp", b.TLSAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = plain.Write([]byte("\x10\x12\x00\x04MQTT\x05\x02\x00\x0a\x00\x00\x05north"))
	newRaw(t, plain, 5).closed()
	for told := 0; told < 3; {
		told += expectNotice(t, w, broker.RefusedConnect, "tls", "").N
	}
	if n := b.Stats().TLSFailures; n != 3 {
		t.Errorf("%d handshakes failed, want 3", n)
	}
}

func TestMutualTLS(t *testing.T) {
	b, ca := withTLS(t, mutual)
	other := brokertest.NewCA(t)
	for name, certs := range map[string][]tls.Certificate{
		"none": nil, "of another authority": {other.Certificate(t, "gate-1")}, "expired": {ca.Certificate(t, "gate-1", expired)},
	} {
		cfg := &tls.Config{RootCAs: ca.Pool, Certificates: certs}
		if len(certs) > 0 { // shown though the hub did not name its authority
			cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certs[0], nil }
		}
		conn, err := dialTLS(b, cfg)
		if err == nil {
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			_, err = conn.Read(make([]byte, 1))
			_ = conn.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "tls:") {
			t.Errorf("certificate %s: %v; want a TLS alert", name, err)
		}
	}
	r := secureRaw(t, b, &tls.Config{RootCAs: ca.Pool, Certificates: []tls.Certificate{ca.Certificate(t, "gate-1")}}, 4)
	if ack := r.connect("gate-1"); ack.ReasonCode != 0 {
		t.Fatalf("CONNACK %#x", ack.ReasonCode)
	}
	if name := b.PeerName("gate-1"); name != "gate-1" {
		t.Errorf("the peer's certificate is of %q, want gate-1", name)
	}
}

// TestMessagesOverTLS: more than the buffers hold, and a goodbye in due form.
func TestMessagesOverTLS(t *testing.T) {
	b, ca := withTLS(t)
	r := secureRaw(t, b, &tls.Config{RootCAs: ca.Pool}, 5)
	r.connect("gate-1")
	r.send(subscribePacket(1, 1, "a"))
	r.expect(packets.Suback)
	payload := strings.Repeat("x", 50_000)
	for range 10 {
		publish(t, b, area.Message{Topic: "a", Payload: []byte(payload), QoS: 1})
	}
	for i := range 10 {
		if pk := r.expect(packets.Publish); string(pk.Payload) != payload {
			t.Fatalf("message %d has %d bytes", i, len(pk.Payload))
		}
	}
	if !b.Disconnect("gate-1", "enough") {
		t.Fatal("the client is not known")
	}
	r.expect(packets.Disconnect)
	if _, err := r.recv(); err == nil || strings.Contains(err.Error(), "unexpected") {
		t.Errorf("the session ended with %v, want a goodbye", err)
	}
}

// TestHungTLSConnection: it neither reads nor writes; a new one of the same id
// does not wait for it, nor does the publisher.
func TestHungTLSConnection(t *testing.T) {
	b, ca := withTLS(t)
	ends := events(b)
	slow := secureRaw(t, b, &tls.Config{RootCAs: ca.Pool}, 5)
	slow.connect("slow")
	slow.send(subscribePacket(1, 1, "#"))
	slow.expect(packets.Suback)
	again := secureRaw(t, b, &tls.Config{RootCAs: ca.Pool}, 5)
	fill(t, b)
	if ack := again.connect("slow"); ack.ReasonCode != 0 {
		t.Errorf("CONNACK %#x", ack.ReasonCode)
	}
	for e := range ends {
		if !e.Up {
			if e.Reason != broker.TakenOver && e.Reason != broker.Closed {
				t.Errorf("the hung connection ended with %q", e.Reason)
			}
			return
		}
	}
}

// fill sends so much that a client that does not read is behind.
func fill(t testing.TB, b *broker.Broker) {
	t.Helper()
	for range 20 {
		publish(t, b, area.Message{Topic: "a", Payload: make([]byte, 50_000), QoS: 1})
	}
}

// TestHandshakeThatStalls is cut after ten seconds, whatever it sends
// meanwhile.
func TestHandshakeThatStalls(t *testing.T) {
	for name, every := range map[string]time.Duration{"silent": 0, "byte by byte": time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := brokertest.NewCA(t)
				b := brokertest.New(t, func(c *broker.Config) {
					c.TLSAddr, c.TLS = "unused", &tls.Config{Certificates: []tls.Certificate{ca.Certificate(t, "hub")}}
				})
				ours, theirs := net.Pipe()
				defer ours.Close()
				start, done := time.Now(), make(chan error, 1)
				go func() { done <- b.EstablishTLS(theirs) }()
				for i := 0; every > 0 && i < 9; i++ { // the beginning of a ClientHello of 512 bytes
					if _, err := ours.Write([]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc")[i : i+1]); err != nil {
						t.Fatal(err)
					}
					time.Sleep(every)
				}
				err := <-done
				if d := time.Since(start); err == nil || d != 10*time.Second {
					t.Errorf("ended after %s with %v, want 10s", d, err)
				}
				if st := b.Stats(); st.Silent != 1 || st.HalfOpen != 0 || st.TLSFailures != 0 {
					t.Errorf("stats %+v; want 1 silent", st)
				}
			})
		})
	}
}

// TestSessionOverPipe: the close of a session on no socket waits for nobody.
func TestSessionOverPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := brokertest.NewCA(t)
		b := brokertest.New(t, func(c *broker.Config) {
			c.TLSAddr, c.TLS = "unused", &tls.Config{Certificates: []tls.Certificate{ca.Certificate(t, "hub")}}
		})
		ours, theirs := net.Pipe()
		go func() { _ = b.EstablishTLS(theirs) }()
		r := newRaw(t, tls.Client(ours, &tls.Config{RootCAs: ca.Pool, ServerName: "localhost"}), 5)
		r.connect("gate-1")
		start := time.Now()
		ctx, cancel := context.WithCancel(context.Background())
		go func() { defer cancel(); r.closed() }()
		b.Disconnect("gate-1", "enough")
		<-ctx.Done()
		if d := time.Since(start); d != 0 {
			t.Errorf("it took %s", d)
		}
		_ = ours.Close()
	})
}

func expired(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }

// TestBalancerBeforeTLS: its header comes first, and in the plain.
func TestBalancerBeforeTLS(t *testing.T) {
	b, ca := withTLS(t, func(c *broker.Config, _ *brokertest.CA) {
		c.ProxyFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	})
	w := b.Watch(0)
	defer w.Close()
	conn, err := net.Dial("tcp", b.TLSAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := conn.Write([]byte("PROXY TCP6 2001:db8::7 2001:db8::1 49152 8883\r\n")); err != nil {
		t.Fatal(err)
	}
	r := newRaw(t, tls.Client(conn, &tls.Config{RootCAs: ca.Pool, ServerName: "localhost"}), 5)
	if ack := r.connect("gate-1"); ack.ReasonCode != 0 {
		t.Errorf("CONNACK %#x", ack.ReasonCode)
	}
	if n := expectNotice(t, w, broker.Connected, "", "gate-1"); n.Addr != "[2001:db8::7]:49152" {
		t.Errorf("it comes from %s", n.Addr)
	}
}
