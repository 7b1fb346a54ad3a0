package external

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// TestWatchdog: a link that neither hears the broker nor tries is reported, and
// what it hangs in is ended; one that works or tries is left alone.
func TestWatchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink(Server{ClientID: "c"}, newQueue(1, 1), slog.New(slog.DiscardHandler))
		var aborted atomic.Int32
		l.abort = func() { aborted.Add(1) }
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); l.watch(ctx) }()
		l.tried.Store(time.Now().UnixNano())
		for range 20 {
			time.Sleep(stuckAfter / 2)
			l.heard.Store(time.Now().UnixNano())
		}
		synctest.Wait()
		if l.stats().Stuck != 0 || aborted.Load() != 0 {
			t.Errorf("a link that works: %+v, aborted %d times", l.stats(), aborted.Load())
		}
		time.Sleep(stuckAfter + 2*watchEvery)
		synctest.Wait()
		if s := l.stats(); s.Stuck != 1 || s.StuckCount == 0 || aborted.Load() == 0 {
			t.Errorf("a link that is stuck: %+v, aborted %d times", s, aborted.Load())
		}
		l.tried.Store(time.Now().UnixNano())
		time.Sleep(watchEvery + time.Second)
		synctest.Wait()
		if l.stats().Stuck != 0 {
			t.Error("it is stuck though it tries again")
		}
		cancel()
		<-ended
	})
}

// identity writes a certificate for 127.0.0.1 that is its own authority, and its
// key.
func identity(t *testing.T, dir string) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	parsed, err := x509.ParseCertificate(cert)
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(parsed)
	return certFile, keyFile, pool
}

// TestTLSAndPassword: a broker that encrypts and asks for a password is reached by
// who knows both it and its authority, and by nobody else.
func TestTLSAndPassword(t *testing.T) {
	passwd, err := exec.LookPath("mosquitto_passwd")
	if err != nil {
		t.Fatal("mosquitto_passwd is missing: apt-get install mosquitto")
	}
	dir := t.TempDir()
	cert, key, pool := identity(t, dir)
	file := filepath.Join(dir, "passwords")
	if out, err := exec.Command(passwd, "-b", "-c", file, "hub", "secret").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b := newMosquitto(t, "certfile "+cert, "keyfile "+key, "password_file "+file)
	bus := func(change func(*Server)) *Bus {
		t.Helper()
		s := Server{URL: "mqtts://" + b.addr(), ClientID: "tacet-hub-1", Username: "hub", Password: "secret", TLS: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
		change(&s)
		x, err := NewBus(BusConfig{Server: s, Node: "hub-1"}, logTo(t))
		if err != nil {
			t.Fatal(err)
		}
		runs(t, x.Run)
		return x
	}
	for name, change := range map[string]func(*Server){
		"another authority": func(s *Server) { s.TLS = nil }, "another password": func(s *Server) { s.Password = "guess" },
		"nobody": func(s *Server) { s.Username, s.Password = "", "" }, "without TLS": func(s *Server) { s.URL = "mqtt://" + b.addr() },
	} {
		x := bus(change)
		until(t, name+" has tried", func() bool { return x.Stats().Failures > 0 })
		if x.Stats().Connects != 0 {
			t.Errorf("%s is let in", name)
		}
	}
	good := bus(func(*Server) {})
	all := hear(t, good, "a")
	publish(t, good, area.Message{Topic: "a", Payload: []byte("x"), QoS: 1})
	all.await(t, "a x from tacet-hub")
}
