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
	acquainted(t, h1, h2)
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
			for path, is := range map[string]func(string) bool{
				"/updates/linux-arm64": func(b string) bool {
					got, err := update.ParseRelease([]byte(b))
					return err == nil && strings.Contains(got.Manifest, `"`+version+`"`)
				},
				"/updates/linux-arm64/program": func(b string) bool { return b == program },
				"/api/v1/releases":             func(b string) bool { return strings.Count(b, `"arch"`) == 1 && strings.Contains(b, `"`+version+`"`) },
				"/install.sh":                  hasAll("linux-arm64 " + version + " "),
			} { // a node that does not answer within a second is done without, the machine may be busy
				eventually(t, when+" "+r.Node+path+" is of "+version, func() bool { _, b := get(t, r.HTTP+path); return is(b) })
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
