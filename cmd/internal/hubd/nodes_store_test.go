package hubd

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/registry"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// made is something that is made, changed and removed by REST.
type made struct {
	path, id, body, changed string
	has                     string // in what is answered once it is changed
}

// TestSharedByREST: what is made at one node is there at the other, also what was made
// while the server was away; what is removed at one is gone at the other.
func TestSharedByREST(t *testing.T) {
	s := startServer(t)
	s.timeout = 2 * time.Second
	_, r1, _ := started(t, s.node("hub-1", t.TempDir()))
	_, r2, _ := started(t, s.node("hub-2", t.TempDir()))
	for name, m := range map[string]made{
		"mapping":  {"/api/v1/mappings", "m", `{"id":"%","topic":"%/{device}/t","format":"raw","metric":"temperature"}`, `{"topic":"plant/{device}/x","format":"raw","metric":"temperature"}`, "plant/{device}/x"},
		"area":     {"/api/v1/areas", "a", `{"id":"%","name":"Area %","locations":[{"id":"%-1"},{"id":"%-2"}]}`, `{"name":"Other","volume":11,"locations":[{"id":"x-1","name":"Gate"}]}`, `"volume":11`},
		"schedule": {"/api/v1/schedules", "s", `{"id":"%","cron":"0 12 * * *","time_zone":"UTC","work":{"to":{"area":"north"},"message":"hello"}}`, `{"cron":"0 13 * * *","time_zone":"UTC","work":{"to":{"area":"north"},"message":"hello"}}`, "0 13 * * *"},
	} {
		t.Run(name, func(t *testing.T) {
			m.roundTrip(t, r1, r2, m.id+"1", func() {}, func() {})
			m.roundTrip(t, r2, r1, m.id+"2", s.kill, s.start)
		})
	}
}

// roundTrip makes it at one node and removes it at the other.
func (m made) roundTrip(t *testing.T, one, other Ready, id string, before, after func()) {
	t.Helper()
	before()
	mustWrite(t, "POST", one.HTTP+m.path, strings.ReplaceAll(m.body, "%", id))
	after()
	until(t, other.HTTP+m.path+"/"+id, func(b string) bool { return strings.Contains(b, `"id":"`+id+`"`) })
	mustWrite(t, "PUT", other.HTTP+m.path+"/"+id, m.changed)
	until(t, one.HTTP+m.path+"/"+id, func(b string) bool { return strings.Contains(b, m.has) })
	mustWrite(t, "DELETE", other.HTTP+m.path+"/"+id, "")
	until(t, one.HTTP+m.path+"/"+id, func(b string) bool { return strings.Contains(b, "not_found") })
	if code, body := get(t, other.HTTP+m.path+"/"+id); code != http.StatusNotFound {
		t.Errorf("where it was removed it is %d %s", code, body)
	}
}

// mustWrite is write that has to be accepted.
func mustWrite(t *testing.T, method, url, body string) string {
	t.Helper()
	answer := write(t, method, url, body)
	if strings.Contains(answer, `"code"`) {
		t.Fatalf("%s %s: %s", method, url, answer)
	}
	return answer
}

// people are configured at every node of a server's hub: ann operates, adm may do all.
// Each has his name as his password.
func people(c *conf.Config) {
	for name, role := range map[string]string{"ann": "operator", "adm": "admin"} {
		c.Auth.Users = append(c.Auth.Users, conf.User{Name: name, PasswordHash: hashed(name), Roles: []string{role}, Tenant: "default", Areas: []string{"*"}})
	}
}

// two are two nodes of a server's hub with people, which know each other, and what stops
// the first.
func (s *redisServer) two(t *testing.T) (h1, h2 *Hub, stop1 func() error) {
	t.Helper()
	start := func(name string) (*Hub, func() error) {
		h, _, stop := started(t, func(c *conf.Config) { s.node(name, t.TempDir())(c); people(c) })
		return h, stop
	}
	h1, stop1 = start("hub-1")
	h2, _ = start("hub-2")
	acquainted(t, h1, h2)
	return h1, h2, stop1
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !is(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// TestSharedCredentials: tokens, devices and codes are those of all nodes; what is
// taken back at one is void at the other, and a code is good once at all of them.
func TestSharedCredentials(t *testing.T) {
	s := startServer(t)
	s.timeout = 2 * time.Second
	h1, h2, _ := s.two(t)
	ctx := t.Context()
	token, err := h1.auth.CreateToken(ctx, auth.Token{Name: "ci", Roles: []string{"viewer"}, Areas: []string{"*"}})
	if err != nil {
		t.Fatal(err)
	}
	bearer := func(h *Hub) bool { p, err := h.auth.Bearer(ctx, "", token); return err == nil && p.Name == "ci" }
	eventually(t, "the token is good at hub-2", func() bool { return bearer(h2) })
	revoked := make(chan auth.Revoked, 10)
	defer h1.auth.Watch(func(r auth.Revoked) { revoked <- r })()
	if err := h2.auth.DeleteToken(ctx, "", "ci"); err != nil {
		t.Fatal(err)
	}
	if r := <-revoked; r.Name != "ci" {
		t.Errorf("hub-1 is told of %+v", r)
	}
	if bearer(h1) {
		t.Error("a token that was taken back is good at hub-1")
	}

	code, err := h1.auth.Enrol(ctx, auth.Enrolment{Device: "gate-9", Area: "north"})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the code waits at hub-2", func() bool { return len(h2.auth.Waiting("")) == 1 })
	var all sync.WaitGroup
	made := make(chan auth.Credential, 8)
	for i, h := range []*Hub{h1, h2, h1, h2} { // from a source each: a wrong code slows its source
		all.Go(func() {
			c, err := h.auth.Redeem(ctx, fmt.Sprint("192.0.2.", i), code.Text)
			if err == nil {
				made <- c
			} else if area.CodeOf(err) != area.CodeNotFound {
				t.Errorf("who was not first: %v", err)
			}
		})
	}
	all.Wait()
	if len(made) != 1 {
		t.Fatalf("the code was good %d times", len(made))
	}
	secret := (<-made).Secret
	for _, h := range []*Hub{h1, h2} {
		eventually(t, "the device may come to "+h.cfg.Node, func() bool { _, err := h.auth.Password(ctx, "", "gate-9", secret); return err == nil })
		if n := len(h.auth.Waiting("")); n != 0 {
			t.Errorf("%d codes wait at %s", n, h.cfg.Node)
		}
	}
	s.kill()
	if err := h2.auth.Revoke(ctx, "", "gate-9"); err != nil {
		t.Fatalf("while the server is away: %v", err)
	}
	s.start()
	eventually(t, "the device is gone at hub-1", func() bool { _, ok := h1.auth.AccessOf("", "gate-9"); return !ok })
}

// TestSharedSignIn: who has signed in at one node is known at the other, when the first
// is gone too; signing out ends it at both.
func TestSharedSignIn(t *testing.T) {
	s := startServer(t)
	h1, h2, stop1 := s.two(t)
	signIn := func(h *Hub) string {
		t.Helper()
		w := ask(h, "POST", "/auth/login", `{"name":"ann","password":"ann","token":true}`)
		var in signedIn
		if err := json.Unmarshal(w.Body.Bytes(), &in); err != nil || in.Token == "" {
			t.Fatalf("sign in: %d %s", w.Code, w.Body)
		}
		return in.Token
	}
	knows := func(h *Hub, key string) bool {
		p, _, ok := h.who.held(key)
		return ok && p.Name == "ann" && h.auth.Stands(p) == nil
	}
	asks := func(when, key string) {
		t.Helper()
		if w := ask(h2, "GET", "/auth/login", "", "Authorization: Bearer "+key); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"ann"`) {
			t.Errorf("%s: %d %s", when, w.Code, w.Body)
		}
	}
	stays, ends := signIn(h1), signIn(h1)
	asks("before hub-2 may know the session", stays)
	for _, key := range []string{stays, ends} {
		eventually(t, "hub-2 knows the session", func() bool { return knows(h2, key) })
	}
	before := h2.nodes.forward.Stats().Forwarded
	asks("once hub-2 knows the session", stays)
	if n := h2.nodes.forward.Stats().Forwarded; n != before {
		t.Errorf("%d requests were handed on, though hub-2 knows their session", n-before)
	}
	_, id, _ := h2.who.held(ends)
	h2.who.sessions.close(id)
	eventually(t, "the session has ended at hub-1", func() bool { return !knows(h1, ends) })
	if err := stop1(); err != nil {
		t.Fatal(err)
	}
	asks("after the end of hub-1", stays)
	if w := ask(h2, "GET", "/auth/login", "", "Authorization: Bearer "+ends); w.Code != http.StatusUnauthorized {
		t.Errorf("the session that was ended: %d %s", w.Code, w.Body)
	}
}

// TestSharedAssignment: what an operator says of a sensor at one node counts at the
// other.
func TestSharedAssignment(t *testing.T) {
	s := startServer(t)
	h1, _, _ := started(t, s.node("hub-1", t.TempDir()))
	h2, _, _ := started(t, s.node("hub-2", t.TempDir()))
	name, north := "Boiler", area.Name("north")
	is := func(h *Hub, want string) func() bool {
		return func() bool {
			d, ok := h.registry.Device("boiler-1")
			return ok && d.Name == want && d.Area == north
		}
	}
	if _, err := h1.registry.Assign("boiler-1", registry.Assignment{Name: &name, Area: &north}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "hub-2 knows the name", is(h2, name))
	if _, err := h2.registry.Assign("boiler-1", registry.Assignment{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "hub-1 has forgotten it", func() bool { d, ok := h1.registry.Device("boiler-1"); return !ok || d.Area == area.Unassigned })
}

// TestSharedStateIsShown: the health says whether the tables are one with the other
// nodes', and what the server lacks; the numbers are metrics.
func TestSharedStateIsShown(t *testing.T) {
	s := startServer(t)
	_, r, _ := started(t, s.node("hub-1", t.TempDir()))
	until(t, r.HTTP+"/readyz", func(b string) bool {
		return strings.Contains(b, `"shared":{"ok":true,"mode":"appendonly is no and should be yes"}`)
	})
	until(t, r.Admin+"/metrics", hasAll("\ntacet_shared_owed 0\n", "\ntacet_shared_resyncs "))
	s.kill()
	until(t, r.HTTP+"/readyz", func(b string) bool { return strings.Contains(b, `"shared":{"ok":false`) })
}
