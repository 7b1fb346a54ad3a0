package hubd

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/firmware/update"
)

// A release that is published at one node is given out by all, and the newest where
// several have one; what a killed node had is not there.
func TestReleasesOfTwoNodes(t *testing.T) {
	s := startServer(t)
	h1, r1, stop1 := started(t, s.node("hub-1", t.TempDir()))
	h2, r2, _ := started(t, s.node("hub-2", t.TempDir()))
	key, err := update.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	publish := func(h *Hub, version string) string {
		t.Helper()
		program := bytes.Repeat([]byte(version+" "), 100_000)
		sum := sha256.Sum256(program)
		r, err := update.Sign(key, update.Manifest{Version: version, Arch: "linux-arm64", Size: int64(len(program)), SHA256: hex.EncodeToString(sum[:]), Built: time.Now().UTC()})
		if err == nil {
			err = h.updates.shelf.Publish(r, bytes.NewReader(program))
		}
		if err != nil {
			t.Fatal(err)
		}
		return string(program)
	}
	gives := func(when, version, program string, at ...Ready) {
		t.Helper()
		for _, r := range at {
			_, body := get(t, r.HTTP+"/updates/linux-arm64")
			if got, err := update.ParseRelease([]byte(body)); err != nil || !strings.Contains(got.Manifest, version) {
				t.Errorf("%s: %s gives %.200s, want %s", when, r.HTTP, body, version)
			}
			if _, body := get(t, r.HTTP+"/updates/linux-arm64/program"); body != program {
				t.Errorf("%s: the program of %s has %d bytes, want %d", when, r.HTTP, len(body), len(program))
			}
			if _, body := get(t, r.HTTP+"/api/v1/releases"); strings.Count(body, `"arch"`) != 1 || !strings.Contains(body, version) {
				t.Errorf("%s: %s lists %s", when, r.HTTP, body)
			}
			if _, body := get(t, r.HTTP+"/install.sh"); !strings.Contains(body, "linux-arm64 "+version) {
				t.Errorf("%s: the script of %s does not name %s", when, r.HTTP, version)
			}
		}
	}
	if code, _ := get(t, r2.HTTP+"/updates/linux-arm64"); code != http.StatusNotFound {
		t.Errorf("before there is one: %d", code)
	}
	first := publish(h1, "v1.0.0")
	gives("at the other", "v1.0.0", first, r1, r2)
	second := publish(h2, "v1.1.0")
	gives("the newer one", "v1.1.0", second, r1, r2)
	publish(h1, "v1.1.0-rc.1")
	gives("not the older one", "v1.1.0", second, r1, r2)
	third := publish(h1, "v2.0.0")
	gives("the newest", "v2.0.0", third, r1, r2)
	if err := stop1(); err != nil {
		t.Fatal(err)
	}
	gives("when that node is gone", "v1.1.0", second, r2)
}
