package deviced

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/brokertest"
	"github.com/tacet-hub/tacet/cmd/internal/settings"
)

// enrolling is the part of a hub that trades codes, each once.
type enrolling struct {
	*httptest.Server
	mu    sync.Mutex
	codes map[string]string // to the device
	asked atomic.Int64
	ill   atomic.Bool // it answers 503
}

func newEnrolling(t *testing.T, codes map[string]string) *enrolling {
	t.Helper()
	e := &enrolling{codes: codes}
	e.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.asked.Add(1)
		e.mu.Lock()
		defer e.mu.Unlock()
		code := strings.TrimPrefix(r.URL.Path, "/api/v1/enrolments/")
		device, good := e.codes[code]
		switch {
		case e.ill.Load():
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"code":"draining","detail":"later"}`))
		case !good:
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"code":"not_found","detail":"the code is unknown, used or expired"}`))
		default:
			delete(e.codes, code)
			fmt.Fprintf(w, `{"device":%q,"secret":"S3CRET-%s","area":"north","tenant":"default","mqtt":"mqtt://hub:1883","mqtts":null}`, device, device)
		}
	}))
	e.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(e.Close)
	return e
}

// bootPartition is a directory with a tacet.yaml.
func bootPartition(t *testing.T, text string) (dir, file string) {
	t.Helper()
	dir = t.TempDir()
	file = filepath.Join(dir, BootFile)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, file
}

var quietLog = slog.New(slog.DiscardHandler)

// A person writes a hub and a code on the boot partition: the code is traded
// once, taken out of the file and of nothing else, and the device is who the hub
// says from then on.
func TestEnrolByTheBootPartition(t *testing.T) {
	hub := newEnrolling(t, map[string]string{"AAAA-BBBB": "gate-12", "CCCC-DDDD": "gate-13"})
	hub.Start()
	text := "# a gate\nenrol_hub: \"" + hub.URL + "\"\nenrol_code: 'AAAA-BBBB' # good once\n\nlocation: \"7\"\naudio: {volume: 33}\n"
	dir, file := bootPartition(t, text)
	data := t.TempDir()
	load := func() Config {
		t.Helper()
		c, _, err := LoadBoot("", dir, nil, func(c *Config, o settings.Origins) { c.Data, c.Sim = data, true })
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := load()
	if !c.Enrols() {
		t.Fatal("there is no code")
	}
	if err := Enrol(t.Context(), c, quietLog); err != nil {
		t.Fatal(err)
	}
	is := func(device string) {
		t.Helper()
		c := load()
		u, err := c.uplink(c.Device)
		if err != nil || c.Enrols() || c.Device != device || c.Area != "north" || c.Location != "7" || c.Audio.Volume != 33 || c.Hub[0] != "mqtt://hub:1883" ||
			u.Username != device || u.Password != "S3CRET-"+device {
			t.Errorf("it is %+v, %v", c, err)
		}
	}
	is("gate-12")
	if b, _ := os.ReadFile(file); string(b) != strings.Replace(text, "'AAAA-BBBB'", `""`, 1) {
		t.Errorf("the file has %s", b)
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 { // and the report
		t.Errorf("%d files are left", len(left))
	}
	if b, err := os.ReadFile(filepath.Join(dir, "tacet-report.txt")); err != nil || !strings.Contains(string(b), "enrolled") {
		t.Errorf("the report is %s, %v", b, err)
	}
	if info, err := os.Stat(filepath.Join(data, "credential")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the credential's mode is %v, %v", info.Mode(), err)
	}
	if err := Enrol(t.Context(), load(), quietLog); err != nil || hub.asked.Load() != 1 {
		t.Errorf("again: %v, asked %d times", err, hub.asked.Load())
	}

	// The code could not be taken out: it is not asked for again.
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Enrol(t.Context(), load(), quietLog); err != nil || hub.asked.Load() != 1 {
		t.Errorf("the same code: %v, asked %d times", err, hub.asked.Load())
	}
	is("gate-12")

	// A used code: the device stays who it was, and the report says so.
	if err := os.WriteFile(file, []byte(strings.Replace(text, "AAAA-BBBB", "EEEE-FFFF", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Enrol(t.Context(), load(), quietLog); err != nil {
		t.Errorf("a used code on an enrolled device: %v", err)
	}
	is("gate-12")
	if b, _ := os.ReadFile(filepath.Join(dir, "tacet-report.txt")); !strings.Contains(string(b), "tacet.yaml:3: enrol_code: the hub refused: not_found: the code is unknown, used") {
		t.Errorf("the report is %s", b)
	}

	// Another code: it becomes another device.
	if err := os.WriteFile(file, []byte(strings.Replace(text, "AAAA-BBBB", "CCCC-DDDD", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Enrol(t.Context(), load(), quietLog); err != nil {
		t.Error(err)
	}
	is("gate-13")
}

func TestEnrolRefused(t *testing.T) {
	hub := newEnrolling(t, map[string]string{"AAAA-BBBB": "gate-12"})
	hub.Start()
	dir, file := bootPartition(t, "enrol_hub: "+hub.URL+"\nenrol_code: GGGG-HHHH\n")
	c, _, err := LoadBoot("", dir, nil, func(c *Config, o settings.Origins) { c.Data, c.Sim = t.TempDir(), true })
	if err != nil {
		t.Fatal(err)
	}
	err = Enrol(t.Context(), c, quietLog)
	if err == nil || !strings.Contains(err.Error(), file+":2: enrol_code: the hub refused: not_found") || strings.Contains(err.Error(), "GGGG") {
		t.Errorf("a used code: %v", err)
	}
	c.Data = "/dev/null/x"
	if err := Enrol(t.Context(), c, quietLog); err == nil || hub.asked.Load() != 1 {
		t.Errorf("nowhere to keep it: %v, asked %d times", err, hub.asked.Load())
	}
}

// A hub that is ill, or not there yet, is asked again.
func TestEnrolWaitsForTheHub(t *testing.T) {
	hub := newEnrolling(t, map[string]string{"AAAA-BBBB": "gate-12"})
	hub.ill.Store(true)
	hub.Start()
	dir, _ := bootPartition(t, "enrol_hub: "+hub.URL+"\nenrol_code: AAAA-BBBB\n")
	c, _, err := LoadBoot("", dir, nil, func(c *Config, o settings.Origins) { c.Data, c.Sim = t.TempDir(), true })
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan bool, 100)
	again := slog.New(hears(func() { hub.ill.Store(false); told <- true }))
	if err := Enrol(t.Context(), c, again); err != nil || len(told) == 0 {
		t.Errorf("%v, told %d times", err, len(told))
	}
}

func fromTomorrow(c *x509.Certificate) {
	c.NotBefore = time.Now().Add(24 * time.Hour)
	c.NotAfter = c.NotBefore.Add(time.Hour)
}

// A certificate that begins in a future that the clock has not reached is not
// believed, and not skipped: it is asked again, for as long as it takes.
func TestEnrolBeforeTheClockIsSet(t *testing.T) {
	ca := brokertest.NewCA(t)
	hub := newEnrolling(t, map[string]string{"AAAA-BBBB": "gate-12"})
	hub.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Certificate(t, "hub", fromTomorrow)}}
	hub.StartTLS()
	dir, _ := bootPartition(t, "enrol_hub: "+hub.URL+"\nenrol_code: AAAA-BBBB\nca_file: "+filepath.Join(t.TempDir(), "ca.pem")+"\n")
	c, _, err := LoadBoot("", dir, nil, func(c *Config, o settings.Origins) { c.Data, c.Sim = t.TempDir(), true })
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.CAFile, ca.PEM, 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tries := 0
	tried := slog.New(hears(func() {
		if tries++; tries == 2 {
			cancel()
		}
	}))
	if err := Enrol(ctx, c, tried); err == nil || !strings.Contains(err.Error(), "not yet valid") && ctx.Err() == nil || hub.asked.Load() != 0 {
		t.Errorf("%v, the hub was asked %d times", err, hub.asked.Load())
	}
}

func TestEnrolFaults(t *testing.T) {
	data := t.TempDir()
	for name, c := range map[string]struct{ text, want string }{
		"no hub":           {"enrol_code: A\n", ":1: enrol_code: it needs enrol_hub"},
		"MQTT":             {"enrol_code: A\nenrol_hub: mqtt://hub\n", ":2: enrol_hub: \"mqtt://hub\" is not an address"},
		"password as well": {"enrol_code: A\nenrol_hub: http://hub\nusername: x\npassword_file: y\n", ":1: enrol_code: a device has either"},
		"unknown key":      {"# mine\n\nenrol_kode: A\n", ":3: enrol_kode: unknown key; did you mean \"enrol_code\"?"},
		"another fault":    {"enrol_code: A\nenrol_hub: http://hub\naudio: {volume: loud}\n", ":3: audio.volume"},
	} {
		dir, _ := bootPartition(t, c.text)
		if _, _, err := LoadBoot("", dir, nil, func(c *Config, o settings.Origins) { c.Data = data }); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	b, _ := json.Marshal(credential{Credential: Credential{Device: "gate-12", Area: "north", MQTT: "mqtt://hub"}, Secret: "s"})
	if err := os.WriteFile(filepath.Join(data, "credential"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	dir, _ := bootPartition(t, "device: gate-1\narea: north\n")
	if _, _, err := LoadBoot("", dir, nil, func(c *Config, o settings.Origins) { c.Data = data }); err == nil || !strings.Contains(err.Error(), `:1: device: it is "gate-1" here, and was enrolled as "gate-12"`) {
		t.Errorf("another name: %v", err)
	}
	if err := os.WriteFile(filepath.Join(data, "credential"), []byte("{half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := LoadBoot("", dir, nil, func(c *Config, o settings.Origins) { c.Data = data }); err == nil || !strings.Contains(err.Error(), "enrol the device again") {
		t.Errorf("a damaged credential: %v", err)
	}
}

// The boot partition's file lies over the other one.
func TestBootFileIsOver(t *testing.T) {
	file := filepath.Join(t.TempDir(), "device.yaml")
	if err := os.WriteFile(file, []byte("device: gate-1\narea: north\naudio: {volume: 10}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir, _ := bootPartition(t, "area: south\r\nhub: [mqtt://10.0.0.1]\r\n") // as a PC writes it
	c, _, err := LoadBoot(file, dir, nil, nil)
	if err != nil || c.Device != "gate-1" || c.Area != "south" || c.Audio.Volume != 10 || c.Hub[0] != "mqtt://10.0.0.1" {
		t.Errorf("%+v, %v", c, err)
	}
	if _, _, err := LoadBoot(file, t.TempDir(), nil, nil); err == nil {
		t.Error("a boot partition without the file is taken")
	}
}

func TestBlank(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"plain":       {"enrol_code: A-B\n", "enrol_code: \"\"\n"},
		"quoted":      {"enrol_code: \"A-B\" # x\nlocation: A-B\n", "enrol_code: \"\" # x\nlocation: A-B\n"},
		"in a PC's":   {"device: d\r\nenrol_code: A-B\r\narea: a\r\n", "device: d\r\nenrol_code: \"\"\r\narea: a\r\n"},
		"in braces":   {"{device: d, enrol_code: A-B, area: a}\n", "{device: d, enrol_code: \"\", area: a}\n"},
		"in a remark": {"# enrol_code: A-B\nenrol_code: 'A-B'\n", "# enrol_code: \"\"\nenrol_code: \"\"\n"},
	} {
		_, file := bootPartition(t, c.text)
		if err := os.Chmod(file, 0o640); err != nil {
			t.Fatal(err)
		}
		err := blank(file, "A-B")
		if b, _ := os.ReadFile(file); err != nil || string(b) != c.want {
			t.Errorf("%s: %v, it has %q, want %q", name, err, b, c.want)
		}
		if info, _ := os.Stat(file); info.Mode().Perm() != 0o640 {
			t.Errorf("%s: mode %v", name, info.Mode())
		}
	}
	for name, text := range map[string]string{"none": "device: d\n", "another": "enrol_code: C\n", "a block": "enrol_code: >\n  A-B\n"} {
		_, file := bootPartition(t, text)
		if err := blank(file, "A-B"); err == nil {
			t.Errorf("%s: no error", name)
		}
		if b, _ := os.ReadFile(file); string(b) != text {
			t.Errorf("%s: it has %q", name, b)
		}
	}
}

// hears is a log that calls its function for each warning.
type hears func()

func (h hears) Enabled(context.Context, slog.Level) bool { return true }
func (h hears) Handle(_ context.Context, r slog.Record) error {
	if r.Level == slog.LevelWarn {
		h()
	}
	return nil
}
func (h hears) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h hears) WithGroup(string) slog.Handler      { return h }
