package hubd

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/gorilla/websocket"

	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/brokertest"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// book is a log that a test reads.
type book struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *book) count(text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.buf.String(), text)
}

// encrypted is a hub with TLS on both listeners, and its authority.
func encrypted(t *testing.T, change ...func(*conf.Config)) (*Hub, Ready, *brokertest.CA, string) {
	ca, dir := brokertest.NewCA(t), t.TempDir()
	cert, key, _ := ca.Files(t, dir, "hub")
	h, r, _ := started(t, func(c *conf.Config) {
		c.HTTP.TLS = conf.TLS{CertFile: cert, KeyFile: key}
		c.MQTT.TLS = conf.MQTTTLS{Addr: "127.0.0.1:0", CertFile: cert, KeyFile: key}
		for _, f := range change {
			f(c)
		}
	})
	return h, r, ca, dir
}

func paho(t *testing.T, url, id string, cfg *tls.Config) mqtt.Client {
	t.Helper()
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(url).SetClientID(id).SetTLSConfig(cfg).SetAutoReconnect(false).SetConnectRetry(false))
	if token := c.Connect(); !token.WaitTimeout(time.Minute) || token.Error() != nil {
		t.Fatalf("%s: %v", url, token.Error())
	}
	t.Cleanup(func() { c.Disconnect(0) })
	return c
}

// served is the serial number of the certificate that a listener shows now.
func served(t *testing.T, url string, cfg *tls.Config) string {
	t.Helper()
	_, addr, _ := strings.Cut(url, "://")
	conn, err := tls.Dial("tcp", addr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func TestCertificatesAreReadAgainWithoutDroppingAConnection(t *testing.T) {
	h, r, ca, dir := encrypted(t)
	trust := &tls.Config{RootCAs: ca.Pool}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: trust}}
	defer client.CloseIdleConnections()
	resp, err := client.Get(r.HTTP + "/healthz")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("https: %v %v", resp, err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	standing := paho(t, "ssl://"+strings.TrimPrefix(*r.MQTTS, "mqtts://"), "gate-1", trust)
	overWeb := paho(t, "wss://"+strings.TrimPrefix(r.HTTP, "https://")+"/mqtt", "gate-2", trust)

	first := served(t, r.HTTP, trust)
	ca.Files(t, dir, "hub")
	cfg := h.cfg
	if err := h.Reload(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	second := served(t, r.HTTP, trust)
	if second == first || served(t, *r.MQTTS, trust) != second {
		t.Errorf("certificate %s after %s: the new one is not served on both", second, first)
	}
	if err := os.WriteFile(dir+"/hub.pem", []byte("half a cert"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.Reload(context.Background(), cfg); err == nil || !strings.Contains(err.Error(), "http.tls: ") {
		t.Errorf("reload with a broken file: %v", err)
	}
	if served(t, r.HTTP, trust) != second {
		t.Error("the broken file replaced the certificate")
	}
	for _, c := range []mqtt.Client{standing, overWeb} {
		if token := c.Publish("a", 1, false, "x"); !token.WaitTimeout(time.Minute) || token.Error() != nil || !c.IsConnected() {
			t.Errorf("a connection was lost over the reload: %v", token.Error())
		}
	}
	if s := h.certs.stats(); s.Loads != 4 || s.Faults != 2 || s.Left <= 0 {
		t.Errorf("stats %+v; want 4 loads, 2 faults", s)
	}
}

// TestCertificatesAreWatched: by what the files look like, and with one line
// for one fault.
func TestCertificatesAreWatched(t *testing.T) {
	ca, dir := brokertest.NewCA(t), t.TempDir()
	lines := &book{}
	ends := func(after time.Duration) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.NotAfter = time.Now().Add(after) }
	}
	cert, key, root := ca.Files(t, dir, "hub", ends(20*24*time.Hour))
	c, err := loadCerts(&certs{name: "mqtt.tls", cert: cert, key: key, root: root, log: slog.New(slog.NewTextHandler(lines, nil))})
	if err != nil {
		t.Fatal(err)
	}
	now, step := time.Now(), 0
	look := func(what string, loads uint64, faults, warnings int) {
		t.Helper()
		step++
		for _, file := range []string{cert, key} { // what a coarse clock of the file system would hide
			if info, err := os.Stat(file); err == nil && what != "nothing new" {
				_ = os.Chtimes(file, time.Time{}, info.ModTime().Add(time.Duration(step)*time.Second))
			}
		}
		c.look(now)
		c.look(now)
		if n := c.loads.Load(); n != loads {
			t.Errorf("%s: %d loads, want %d", what, n, loads)
		}
		if n := lines.count("level=ERROR"); n != faults {
			t.Errorf("%s: %d errors logged, want %d", what, n, faults)
		}
		if n := lines.count("certificate ends soon"); n != warnings {
			t.Errorf("%s: %d warnings, want %d", what, n, warnings)
		}
	}
	look("nothing new", 1, 0, 0)
	ca.Files(t, dir, "hub", ends(20*24*time.Hour))
	look("renewed", 2, 0, 0)
	whole, _ := os.ReadFile(key)
	_ = os.WriteFile(key, nil, 0o600)
	look("half replaced", 2, 1, 0)
	_ = os.WriteFile(key, whole, 0o600)
	look("whole again", 3, 1, 0)
	ca.Files(t, dir, "hub", ends(-time.Minute))
	look("expired", 3, 2, 0)
	ca.Files(t, dir, "hub", ends(20*24*time.Hour))
	look("whole", 4, 2, 0)
	now = now.Add(7 * 24 * time.Hour)
	look("nothing new", 4, 2, 1)
	now = now.Add(23 * time.Hour)
	look("nothing new", 4, 2, 1)
	now = now.Add(time.Hour)
	look("nothing new", 4, 2, 2)
}

func TestCertificatesThatCannotBeUsed(t *testing.T) {
	ca, dir := brokertest.NewCA(t), t.TempDir()
	cert, key, root := ca.Files(t, dir, "hub")
	other, _, _ := ca.Files(t, t.TempDir(), "hub")
	for name, c := range map[string]struct{ cert, key, root, want string }{
		"no file":             {dir + "/none.pem", key, "", "no such file"},
		"key of another":      {other, key, "", "does not match"},
		"authority is no PEM": {cert, key, key, "has no certificate"},
		"authority missing":   {cert, key, dir + "/none.pem", "no such file"},
	} {
		_, err := loadCerts(&certs{name: "mqtt.tls", cert: c.cert, key: c.key, root: c.root, log: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.HasPrefix(err.Error(), "mqtt.tls: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want mqtt.tls: … %s", name, err, c.want)
		}
	}
	lines := &book{}
	ca.Files(t, dir, "hub", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) })
	_ = os.Chmod(key, 0o644)
	if _, err := loadCerts(&certs{name: "http.tls", cert: cert, key: key, root: root, log: slog.New(slog.NewTextHandler(lines, nil))}); err != nil {
		t.Errorf("an expired certificate keeps the hub from starting: %v", err)
	}
	if lines.count("certificate ends soon") != 1 || lines.count("private key can be read by everybody") != 1 {
		t.Errorf("log: %s", lines.buf.String())
	}
}

func TestMutualTLSOfTheHub(t *testing.T) {
	h, r, ca, _ := encrypted(t, func(c *conf.Config) {
		c.MQTT.TLS.ClientCAFile = strings.Replace(c.MQTT.TLS.CertFile, "hub.pem", "ca.pem", 1)
		c.Auth.Devices = []conf.Principal{{Name: "gate-1", Tenant: auth.DefaultTenant, Area: "north"}}
	})
	url := "ssl://" + strings.TrimPrefix(*r.MQTTS, "mqtts://")
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(url).SetClientID("gate-1").SetTLSConfig(&tls.Config{RootCAs: ca.Pool}).SetConnectRetry(false))
	if token := c.Connect(); !token.WaitTimeout(time.Minute) || token.Error() == nil {
		t.Error("a client without a certificate was let in")
	}
	paho(t, url, "gate-1", &tls.Config{RootCAs: ca.Pool, Certificates: []tls.Certificate{ca.Certificate(t, "gate-1")}})
	// With the same certificate a device fetches what it plays, and changes nothing.
	for _, c := range []struct {
		name, method string
		cert         []tls.Certificate
		want         int
	}{
		{"the device", http.MethodGet, []tls.Certificate{ca.Certificate(t, "gate-1")}, http.StatusNotFound},
		{"nobody", http.MethodGet, nil, http.StatusUnauthorized},
		{"a name that is no device's", http.MethodGet, []tls.Certificate{ca.Certificate(t, "gate-9")}, http.StatusUnauthorized},
		{"a write", http.MethodPost, []tls.Certificate{ca.Certificate(t, "gate-1")}, http.StatusUnauthorized},
	} {
		path := "/clips/" + strings.Repeat("0", 64)
		if c.method == http.MethodPost {
			path = "/api/v1/clips"
		}
		client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool, Certificates: c.cert}}}
		req, _ := http.NewRequest(c.method, r.HTTP+path, nil)
		res, err := client.Do(req)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		res.Body.Close()
		client.CloseIdleConnections()
		if res.StatusCode != c.want {
			t.Errorf("%s: %s, want %d", c.name, res.Status, c.want)
		}
	}
	if _, mqtts := h.mqttFor(httptest.NewRequest(http.MethodPost, "/", nil)); mqtts != nil {
		t.Errorf("a device that gets a password is sent to %s, where it cannot enter", *mqtts)
	}
}

// TestMQTTOverWebSocketIsOfItsOwnPagesAlone: the subprotocol is needed, and a
// foreign page is refused.
func TestMQTTOverWebSocketIsOfItsOwnPagesAlone(t *testing.T) {
	_, r, ca, _ := encrypted(t, func(c *conf.Config) { c.HTTP.AllowedOrigins = []string{"https://panel.example"} })
	addr := strings.TrimPrefix(r.HTTP, "https://")
	for _, c := range []struct {
		origin, protocol string
		want             int
	}{
		{"", "mqtt", 101}, {"https://" + addr, "mqtt", 101}, {"https://panel.example", "mqtt", 101},
		{"", "", 400}, {"", "mqttv3.1", 400},
		{"https://evil.example", "mqtt", 403}, {"https://panel.example.evil.example", "mqtt", 403}, {"https://" + addr + ".evil.example", "mqtt", 403}, {"null", "mqtt", 403},
	} {
		d := websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: ca.Pool}, HandshakeTimeout: time.Minute}
		head := http.Header{}
		if c.origin != "" {
			head.Set("Origin", c.origin)
		}
		if c.protocol != "" {
			d.Subprotocols = []string{c.protocol}
		}
		ws, resp, err := d.Dial("wss://"+addr+"/mqtt", head)
		if resp == nil {
			t.Fatalf("origin %q: %v", c.origin, err)
		}
		if resp.StatusCode != c.want {
			t.Errorf("origin %q, subprotocol %q: %d, want %d", c.origin, c.protocol, resp.StatusCode, c.want)
		}
		if ws != nil {
			if ws.Subprotocol() != "mqtt" {
				t.Errorf("subprotocol %q", ws.Subprotocol())
			}
			ws.Close()
		}
	}
}
