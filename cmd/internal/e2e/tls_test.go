package e2e

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/brokertest"
)

// encrypted is a hub in a process of its own that encrypts everything, and asks
// every device on its TLS listener for a certificate.
type encrypted struct {
	*serve
	ca   *brokertest.CA
	dir  string // of hub.pem, hub.key, ca.pem
	mqtt string // port of the TLS listener
}

func startEncrypted(t *testing.T) *encrypted {
	t.Helper()
	e := &encrypted{ca: brokertest.NewCA(t), dir: t.TempDir()}
	cert, key, ca := e.ca.Files(t, e.dir, "hub")
	site := siteFile + fmt.Sprintf("http: {tls: {cert_file: %[1]s, key_file: %[2]s}}\nmqtt: {tls: {addr: \"127.0.0.1:0\", cert_file: %[1]s, key_file: %[2]s, client_ca_file: %[3]s}}\n"+
		"auth: {devices: [{name: gate-1, area: north}, {name: gate-9, area: north, publish: [a]}]}\n", cert, key, ca)
	e.serve = startWith(t, t.TempDir(), site, tacet(t))
	e.web.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: e.ca.Pool}}
	_, e.mqtt, _ = strings.Cut(strings.TrimPrefix(*e.ready.MQTTS, "mqtts://"), ":")
	return e
}

// mosquitto runs one of Mosquitto's clients on the TLS listener.
func (e *encrypted) mosquitto(name string, args ...string) (string, error) {
	e.hub.t.Helper()
	args = append([]string{"-h", "127.0.0.1", "-p", e.mqtt, "--cafile", filepath.Join(e.dir, "ca.pem"), "-q", "1", "-t", "a"}, args...)
	out, err := exec.CommandContext(e.hub.t.Context(), tool(e.hub.t, name, mosquittoClients), args...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// serial is the number of the certificate that the web listener shows.
func (e *encrypted) serial(t *testing.T) string {
	t.Helper()
	conn, err := tls.Dial("tcp", strings.TrimPrefix(e.ready.HTTP, "https://"), &tls.Config{RootCAs: e.ca.Pool})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// TestEncryptedHub: other people's clients with and without a certificate, the
// operator's command, and a new certificate on SIGHUP, over which a device keeps
// its connection.
func TestEncryptedHub(t *testing.T) {
	t.Parallel()
	e := startEncrypted(t)
	cert, key, _ := e.ca.Files(t, e.dir, "gate-9")
	stranger, strangerKey, _ := brokertest.NewCA(t).Files(t, t.TempDir(), "gate-9")
	for _, c := range []struct {
		what string
		args []string
		ok   bool
	}{
		{"with a certificate", []string{"--cert", cert, "--key", key}, true},
		{"without one", nil, false},
		{"with a stranger's", []string{"--cert", stranger, "--key", strangerKey}, false},
	} {
		out, err := e.mosquitto("mosquitto_pub", append([]string{"-m", "x"}, c.args...)...)
		if (err == nil) != c.ok {
			t.Errorf("mosquitto_pub %s: %v %s", c.what, err, out)
		}
	}
	same(t, "healthz", e.status(t, e.ready.HTTP+"/healthz"), http.StatusOK)

	list := exec.Command(tacet(t), "area", "list", "--data", e.data)
	list.Env = append(os.Environ(), "SSL_CERT_FILE="+filepath.Join(e.dir, "ca.pem"), "TACET_URL=", "TACET_DATA=")
	if out, err := list.CombinedOutput(); err == nil || !strings.Contains(string(out), "unauthorized") { // the hub has answered
		t.Errorf("tacet area list: %v %s", err, out)
	}

	gate, gateKey, _ := e.ca.Files(t, e.dir, "gate-1")
	file := filepath.Join(t.TempDir(), "device.yaml")
	text := fmt.Sprintf("hub: [%s]\nca_file: %s\ncert_file: %s\nkey_file: %s\n", *e.ready.MQTTS, filepath.Join(e.dir, "ca.pem"), gate, gateKey)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d := run(t, tacetDevice(t), "run", "--sim", "--config", file, "--device", "gate-1", "--area", "north", "--location", "1", "--data", t.TempDir())
	d.line(0, "ready", func(s string) bool { return strings.HasPrefix(s, "ready device=gate-1 hub=mqtts://") })
	e.figure(t, "tacet_broker_connections 1\n")

	first, accepted := e.serial(t), e.metric("tacet_broker_accepted")
	e.ca.Files(t, e.dir, "hub")
	e.signal(syscall.SIGHUP)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(patience); e.serial(t) == first; <-again.C {
		if time.Now().After(end) {
			t.Fatal("the new certificate is not served")
		}
	}
	same(t, "devices connected", e.metric("tacet_broker_connections"), 1)
	same(t, "connections taken since the signal", e.metric("tacet_broker_accepted")-accepted, 0)
}
