package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
	"github.com/tacet-hub/tacet/broker/auth"
)

// signedIn is the cookie of who has signed in.
func (h *hub) signedIn(name, password string) string {
	h.t.Helper()
	resp, err := h.web.Post(h.ready.HTTP+"/auth/login", "application/json", strings.NewReader(fmt.Sprintf(`{"name":%q,"password":%q}`, name, password)))
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || len(resp.Cookies()) == 0 {
		h.t.Fatalf("%s is answered %s", name, resp.Status)
	}
	c := resp.Cookies()[0]
	return c.Name + "=" + c.Value
}

// answered is the status of the answer to a request with a cookie.
func (h *hub) answered(method, path, cookie, body string) int {
	h.t.Helper()
	req, err := http.NewRequest(method, h.ready.HTTP+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Cookie", cookie)
	req.Header.Set("Origin", h.ready.HTTP) // as its own page
	req.Header.Set("Content-Type", "application/json")
	resp, err := h.web.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestViewSignIn: at a process that serves the dashboard alone people sign in as at the
// nodes, and each is shown what he may see there.
func TestViewSignIn(t *testing.T) {
	t.Parallel()
	l := startLedger(t)
	hash := func(name string) string {
		h, err := auth.HashPassword([]byte("the pass word of " + name))
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	one := l.nodeAt("hub-1", t.TempDir(), "127.0.0.1:0", `auth:
  users:
    - {name: adm, password_hash: "`+hash("adm")+`", roles: [admin]}
    - {name: vic, password_hash: "`+hash("vic")+`", roles: [viewer], areas: [north]}`)
	one.owned()
	v, _ := l.view("view-1")
	v.answers("/readyz", func(_ int, b string) bool { return strings.Contains(b, `"status":"ready"`) })
	for _, path := range []string{"/api/v1/areas", "/api/v1/nodes", "/auth/login"} {
		same(t, path+" of nobody", v.answered("GET", path, "", ""), http.StatusUnauthorized)
	}
	same(t, "negotiation of nobody", v.answered("POST", "/hubs/devices/negotiate?negotiateVersion=1", "", ""), http.StatusUnauthorized)

	adm, vic := v.signedIn("adm", "the pass word of adm"), v.signedIn("vic", "the pass word of vic")
	same(t, "another area", v.answered("POST", "/api/v1/areas", adm, `{"name":"South Wing","id":"south"}`), http.StatusCreated)
	same(t, "an area by who may not", v.answered("POST", "/api/v1/areas", vic, `{"name":"West Wing","id":"west"}`), http.StatusForbidden)
	for cookie, areas := range map[string]string{adm: `"north" "south"`, vic: `"north"`} {
		c, err := signalrtest.Dial(t.Context(), v.ready.HTTP+"/hubs/devices", signalrtest.Options{Header: http.Header{"Cookie": {cookie}}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		all, err := c.Invoke(t.Context(), "JoinArea", "*")
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{`"north"`, `"south"`} {
			if want := strings.Contains(areas, id); strings.Contains(string(all), `"id":`+id) != want {
				t.Errorf("area %s is shown: %t, to who may see %s", id, !want, areas)
			}
		}
		if _, err := c.Invoke(t.Context(), "JoinArea", "south"); (err == nil) != strings.Contains(areas, "south") {
			t.Errorf("south, to who may see %s: %v", areas, err)
		}
		if _, err := c.Invoke(t.Context(), "JoinGroup", "metrics"); err != nil {
			t.Error(err)
		}
		if _, err := c.Invoke(t.Context(), "JoinGroup", "topics"); err == nil {
			t.Error("topics are shown where people sign in")
		}
	}
}
