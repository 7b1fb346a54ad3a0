package deviced

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/cmd/internal/settings"
)

func TestProvision(t *testing.T) {
	asked := 0
	hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.Method != "POST" || r.URL.Path != "/api/v1/enrolments/AAAA-BBBB" {
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"code":"not_found","detail":"the code is unknown, used or expired"}`))
			return
		}
		_, _ = w.Write([]byte(`{"device":"gate-12","secret":"S3CRET","area":"north","tenant":"default","mqtt":"mqtt://hub:1883","mqtts":"mqtts://hub:8883"}`))
	}))
	defer hub.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "secret")
	if err := os.WriteFile(file, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := Provision(t.Context(), hub.URL+"/", "AAAA-BBBB", file, "")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := settings.Secret(file); err != nil || got != "S3CRET" {
		t.Errorf("the file has %q, %v", got, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("%d files, want 1", len(left))
	}
	var cfg Config
	if _, err := settings.ParseYAML("device.yaml", []byte(c.YAML()), &cfg); err != nil {
		t.Fatal(err)
	}
	if cfg.Device != "gate-12" || cfg.Username != "gate-12" || cfg.Area != "north" || cfg.Hub[0] != "mqtts://hub:8883" || cfg.PasswordFile != file {
		t.Errorf("%s reads as %+v", c.YAML(), cfg)
	}
	if u, err := cfg.uplink(cfg.Device); err != nil || u.Username != "gate-12" || u.Password != "S3CRET" {
		t.Errorf("the uplink is %+v, %v", u, err)
	}

	made := filepath.Join(dir, "made", "secret") // as with /var/lib/tacet, which nobody has made
	if _, err := Provision(t.Context(), hub.URL, "AAAA-BBBB", made, ""); err != nil {
		t.Errorf("a directory that is not there: %v", err)
	} else if info, err := os.Stat(filepath.Dir(made)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("its directory has mode %v, %v", info.Mode(), err)
	}
	if !strings.HasPrefix(c.YAML(), "# ") || !strings.Contains(c.YAML(), "ca_file") {
		t.Errorf("with TLS and no authorities nothing is said of them: %s", c.YAML())
	}

	asked = 0
	for name, x := range map[string]struct{ hub, code, file, want string }{
		"unknown code":        {hub.URL, "CCCC", file, "not_found: the code is unknown"},
		"no code":             {hub.URL, "", file, "no code"},
		"not an address":      {"hub.local", "AAAA-BBBB", file, "is not an address"},
		"nobody there":        {"http://127.0.0.1:1", "AAAA-BBBB", file, "does not answer"},
		"nowhere to write to": {hub.URL, "AAAA-BBBB", filepath.Join(dir, "none", "none", "secret"), "name another one"},
	} {
		if _, err := Provision(t.Context(), x.hub, x.code, x.file, ""); err == nil || !strings.Contains(err.Error(), x.want) || strings.Contains(err.Error(), "AAAA") {
			t.Errorf("%s: %v, want %s and no code", name, err, x.want)
		}
	}
	if asked != 1 {
		t.Errorf("%d codes were used up", asked-1)
	}
	if got, _ := settings.Secret(file); got != "S3CRET" {
		t.Errorf("what failed left %q", got)
	}
}

// TestProvisionOverTLS: a hub of a private authority is known by that alone.
func TestProvisionOverTLS(t *testing.T) {
	hub := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"device":"gate-12","secret":"S3CRET","area":"north","mqtt":"mqtt://hub:1883","mqtts":null}`))
	}))
	hub.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer hub.Close()
	dir := t.TempDir()
	file, ca := filepath.Join(dir, "secret"), filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hub.Certificate().Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Provision(t.Context(), hub.URL, "AAAA", file, ""); err == nil {
		t.Error("a hub of an unknown authority is believed")
	}
	c, err := Provision(t.Context(), hub.URL, "AAAA", file, ca)
	if err != nil {
		t.Fatal(err)
	}
	if want := "ca_file: \"" + ca + "\"\n"; !strings.HasSuffix(c.YAML(), want) || !strings.Contains(c.YAML(), `hub: "mqtt://hub:1883"`) {
		t.Errorf("%s has no %s", c.YAML(), want)
	}
}
