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
		var faults []string
		eventually(t, "a connection that need not come anew", func() (whole bool) { // as it has to where the view has missed something
			faults, whole = v.viewFaults(cookie, areas)
			return whole
		})
		for _, f := range faults {
			t.Errorf("to who may see %s: %s", areas, f)
		}
	}
}

// viewFaults is in what a view shows to a cookie something else than these areas, and
// the figures; not whole where it has ended the connection meanwhile.
func (h *hub) viewFaults(cookie, areas string) (list []string, whole bool) {
	h.t.Helper()
	fault := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	ctx := h.t.Context()
	c, err := signalrtest.Dial(ctx, h.ready.HTTP+"/hubs/devices", signalrtest.Options{Header: http.Header{"Cookie": {cookie}}})
	if err != nil {
		h.t.Log(err)
		return nil, false
	}
	defer c.Close()
	all, err := c.Invoke(ctx, "JoinArea", "*")
	if err != nil {
		fault("%v", err)
	}
	for _, id := range []string{`"north"`, `"south"`} {
		if want := strings.Contains(areas, id); strings.Contains(string(all), `"id":`+id) != want {
			fault("area %s is shown: %t", id, !want)
		}
	}
	if _, err := c.Invoke(ctx, "JoinArea", "south"); (err == nil) != strings.Contains(areas, "south") {
		fault("south: %v", err)
	}
	if _, err := c.Invoke(ctx, "JoinGroup", "metrics"); err != nil {
		fault("the figures: %v", err)
	}
	if _, err := c.Invoke(ctx, "JoinGroup", "topics"); err == nil {
		fault("the topics are shown")
	}
	select {
	case <-c.Closed():
		return list, false
	default:
		return list, true
	}
}
