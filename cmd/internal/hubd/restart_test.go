package hubd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// TestWhatWasAcceptedIsThereAfterARestart goes over the hub's own stores: areas,
// assignments, schedules and orders, of which the one that waits still does, and
// the one that has ended has its end.
func TestWhatWasAcceptedIsThereAfterARestart(t *testing.T) {
	data := t.TempDir()
	with := func(c *conf.Config) { c.Data = data }
	_, r, stop := started(t, with)
	for _, w := range []struct{ method, path, body string }{
		{"POST", "/areas", `{"id":"late","name":"Late Wing","volume":7,"locations":[{"id":"l1","name":"Desk"}]}`},
		{"POST", "/areas", `{"id":"gone"}`},
		{"PUT", "/devices/hall", `{"area":"late","name":"Hall"}`},
		{"POST", "/schedules", `{"id":"boarding","every":"3600s","work":{"to":{"area":"late"},"message":"Boarding"}}`},
		{"POST", "/orders", `{"id":"o-1","to":{"area":"late"},"message":"wait","expires":"3600s"}`},
		{"POST", "/orders", `{"id":"o-2","to":{"area":"late"},"message":"ended","expires":"3600s"}`},
	} {
		write(t, w.method, r.HTTP+"/api/v1"+w.path, w.body)
	}
	write(t, "DELETE", r.HTTP+"/api/v1/orders/o-2", "")
	write(t, "DELETE", r.HTTP+"/api/v1/areas/gone", "")
	for range 2 {
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		_, r, stop = started(t, with)
		for path, want := range map[string][]string{
			"/areas/late":         {`"name":"Late Wing"`, `"volume":7`, `"source":"api"`, `"Desk"`},
			"/devices/hall":       {`"name":"Hall"`, `"area":"late"`},
			"/schedules/boarding": {`"every":"1h"`, `"Boarding"`, `"source":"api"`},
			"/orders/o-1":         {`"state":"waiting"`, `"wait"`},
			"/orders/o-2":         {`"state":"cancelled"`, `"reason":"user"`},
		} {
			code, body := get(t, r.HTTP+"/api/v1"+path)
			for _, part := range want {
				if code != 200 || !strings.Contains(strings.ReplaceAll(body, ": ", ":"), part) {
					t.Errorf("%s answers %d %s; want %s in it", path, code, body, part)
				}
			}
		}
		if code, _ := get(t, r.HTTP+"/api/v1/areas/gone"); code != 404 {
			t.Errorf("a removed area answers %d", code)
		}
	}
}

// TestReadyzTellsOfDamage starts on a store with a flipped bit.
func TestReadyzTellsOfDamage(t *testing.T) {
	data := t.TempDir()
	with := func(c *conf.Config) { c.Data = data }
	_, r, stop := started(t, with)
	write(t, "POST", r.HTTP+"/api/v1/areas", fmt.Sprintf(`{"id":"late","name":%q}`, strings.Repeat("Late", 30)))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(data, "tacet.db")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for at := range content { // in every copy of the record
		if string(content[at:min(at+8, len(content))]) == "LateLate" {
			content[at] ^= 1
		}
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	_, r, _ = started(t, with)
	code, body := get(t, r.HTTP+"/readyz")
	if code != 200 || !strings.Contains(body, `"store":{"ok":true,"mode":"damaged"}`) {
		t.Errorf("readyz: %d %s", code, body)
	}
}
