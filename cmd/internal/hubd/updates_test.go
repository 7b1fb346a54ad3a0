package hubd

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
	"github.com/tacet-hub/tacet/firmware/update"
)

// published puts a release for linux-arm64 onto the hub's shelf.
func published(t *testing.T, h *Hub, program []byte) (update.Release, update.Keys) {
	t.Helper()
	key, err := update.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := update.ParseKeys([]string{update.PublicText(key)})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(program)
	r, err := update.Sign(key, update.Manifest{Version: "v1.2.3", Arch: "linux-arm64", Size: int64(len(program)), SHA256: hex.EncodeToString(sum[:]), Built: time.Now().UTC()})
	if err == nil {
		err = h.updates.shelf.Publish(r, bytes.NewReader(program))
	}
	if err != nil {
		t.Fatal(err)
	}
	return r, keys
}

func TestUpdatesAreServed(t *testing.T) {
	h, r, _ := started(t, nil)
	if code, body := get(t, r.HTTP+"/updates/linux-arm64"); code != http.StatusNotFound || !strings.Contains(body, `"not_found"`) {
		t.Errorf("before there is one: %d %s", code, body)
	}
	program := bytes.Repeat([]byte("program "), 100_000)
	release, keys := published(t, h, program)
	_, body := get(t, r.HTTP+"/updates/linux-arm64")
	got, err := update.ParseRelease([]byte(body))
	if err != nil || got.Manifest != release.Manifest {
		t.Errorf("the release is %s, %v", body, err)
	}
	m, err := keys.Verify(got)
	if err != nil {
		t.Fatal(err)
	}
	if _, body := get(t, r.HTTP+"/updates/linux-arm64/manifest"); body != release.Manifest {
		t.Errorf("the manifest is %s", body)
	}
	if _, body := get(t, r.HTTP+"/updates/linux-arm64/signature"); body != string(release.Signature) {
		t.Errorf("the signature has %d bytes", len(body))
	}
	tag := update.ETag(m)
	for _, c := range []struct {
		name string
		head map[string]string
		code int
		body []byte
	}{
		{"whole", nil, http.StatusOK, program},
		{"end", map[string]string{"Range": "bytes=100-", "If-Match": tag}, http.StatusPartialContent, program[100:]},
		{"of another release", map[string]string{"Range": "bytes=100-", "If-Match": `"x"`}, http.StatusPreconditionFailed, nil},
		{"known", map[string]string{"If-None-Match": tag}, http.StatusNotModified, nil},
		{"beyond the end", map[string]string{"Range": "bytes=99999999-"}, http.StatusRequestedRangeNotSatisfiable, nil},
	} {
		req, _ := http.NewRequest(http.MethodGet, r.HTTP+"/updates/linux-arm64/program", nil)
		for k, v := range c.head {
			req.Header.Set(k, v)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != c.code || c.code < 400 && !bytes.Equal(body, c.body) {
			t.Errorf("%s: %d, %d bytes; want %d, %d bytes", c.name, res.StatusCode, len(body), c.code, len(c.body))
		}
	}
	for accept, packed := range map[string]bool{"gzip": true, "deflate, gzip": true, "br": false, "gzip;q=0": false} {
		req, _ := http.NewRequest(http.MethodGet, r.HTTP+"/updates/linux-arm64/program", nil)
		req.Header.Set("Accept-Encoding", accept)
		req.Header.Set("If-Match", tag)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var body io.Reader = res.Body
		if packed {
			if body, err = gzip.NewReader(res.Body); err != nil {
				t.Fatal(err)
			}
		}
		got, err := io.ReadAll(body)
		res.Body.Close()
		if err != nil || !bytes.Equal(got, program) || (res.Header.Get("Content-Encoding") == "gzip") != packed || strings.HasPrefix(res.Header.Get("ETag"), "W/") != packed {
			t.Errorf("for %q: %d bytes, %v, %v", accept, len(got), err, res.Header)
		}
	}
	for _, arch := range []string{"linux-riscv64", "x", "..%2f..", "linux-arm64.json"} {
		if code, body := get(t, r.HTTP+"/updates/"+arch); code != http.StatusNotFound || !strings.Contains(body, `"not_found"`) {
			t.Errorf("/updates/%s: %d %s", arch, code, body)
		}
	}
	// Bytes that have changed on the disk are not given out.
	if err := os.Truncate(filepath.Join(h.cfg.Data, "updates", "linux-arm64-"+m.SHA256), 50); err != nil {
		t.Fatal(err)
	}
	if code, body := get(t, r.HTTP+"/updates/linux-arm64/program"); code != http.StatusInternalServerError || !strings.Contains(body, `"internal"`) {
		t.Errorf("a damaged program: %d %s", code, body)
	}
	_, figures := get(t, r.Admin+"/metrics")
	for _, line := range []string{"tacet_updates_asked 3", "tacet_updates_programs 9", "tacet_updates_missing 5", "tacet_updates_damaged 1"} {
		if !strings.Contains(figures, "\n"+line+"\n") {
			t.Errorf("the metrics do not say %s", line)
		}
	}
}

// Where somebody has to sign in, updates are for those who may read: people,
// programs, and devices with their own credential.
func TestUpdatesAreForDevices(t *testing.T) {
	hash, err := auth.HashPassword([]byte("device secret"))
	if err != nil {
		t.Fatal(err)
	}
	h, r, _ := started(t, func(c *conf.Config) {
		c.Auth.Devices = []conf.Principal{{Name: "gate-1", PasswordHash: hash, Area: "north"}}
	})
	published(t, h, []byte("program"))
	for _, path := range []string{"", "/manifest", "/signature", "/program"} {
		if code, _ := get(t, r.HTTP+"/updates/linux-arm64"+path); code != http.StatusUnauthorized {
			t.Errorf("nobody, %s: %d", path, code)
		}
	}
	res, err := http.Post(r.HTTP+"/auth/login", "application/json", strings.NewReader(`{"name":"gate-1","password":"device secret","token":true}`))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	_, token, _ := strings.Cut(string(body), `"token":"`)
	token, _, _ = strings.Cut(token, `"`)
	req, _ := http.NewRequest(http.MethodGet, r.HTTP+"/updates/linux-arm64/program", nil)
	req.Header.Set("Authorization", "Bearer "+token)
	if res, err = http.DefaultClient.Do(req); err != nil {
		t.Fatal(err)
	}
	body, _ = io.ReadAll(res.Body)
	res.Body.Close()
	if res.StatusCode != http.StatusOK || string(body) != "program" {
		t.Errorf("the device: %d %s", res.StatusCode, body)
	}
}
