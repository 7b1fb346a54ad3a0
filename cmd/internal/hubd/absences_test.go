package hubd

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// TestUserComesBackToAnotherNode: whose connection was lost is in its groups again at the
// other node, and is sent what the group, and he, had meanwhile; who has said goodbye is
// sent what he had. REST asks him there.
func TestUserComesBackToAnotherNode(t *testing.T) {
	s := startServer(t)
	guarded := func(name string) func(*conf.Config) {
		return func(c *conf.Config) {
			s.node(name, t.TempDir())(c)
			c.Auth.Users = []conf.User{{Name: "adm", PasswordHash: hashed("adm"), Roles: []string{auth.RoleAdmin}, Tenant: auth.DefaultTenant, Areas: []string{"*"}}}
		}
	}
	h1, r1, _ := started(t, guarded("hub-1"))
	h2, r2, _ := started(t, guarded("hub-2"))
	token, err := h1.auth.CreateToken(t.Context(), auth.Token{Name: "ci", Tenant: auth.DefaultTenant, Roles: []string{auth.RoleAdmin}, Areas: []string{"*"}})
	if err != nil {
		t.Fatal(err)
	}
	bearer := "Authorization: Bearer " + token
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); ask(h2, "GET", "/api/v1/areas", "", bearer).Code != 200; <-tick.C {
		if time.Now().After(end) {
			t.Fatal("hub-2 does not know the token")
		}
	}
	heard := make(chan string, 100)
	comes := func(r Ready) *signalrtest.Client {
		t.Helper()
		c, err := signalrtest.Dial(t.Context(), r.HTTP+hubPath, signalrtest.Options{AccessToken: token, On: map[string]func([]json.RawMessage){
			"Number":          func(args []json.RawMessage) { heard <- string(args[0]) },
			"PositionChanged": func(args []json.RawMessage) { heard <- string(args[0]) },
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		c.Answer("Identify", func([]json.RawMessage) (any, error) { return "here", nil })
		if _, err := c.Invoke(t.Context(), "Echo", 1); err != nil {
			t.Fatal(err)
		}
		return c
	}
	say := func(h *Hub, path string, n int) string {
		t.Helper()
		w := ask(h, "POST", "/api/v1/"+path, fmt.Sprintf(`{"event":"Number","args":[%d]}`, n), bearer)
		if w.Code != 202 {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
		return strings.TrimSpace(w.Body.String())
	}
	hears := func(what, want string) {
		t.Helper()
		if got := <-heard; got != want {
			t.Fatalf("%s: heard %s, want %s", what, got, want)
		}
	}
	gone := func(left bool) { // as both nodes know
		t.Helper()
		for _, h := range []*Hub{h1, h2} {
			for end := time.Now().Add(time.Minute); ; <-tick.C {
				value, _, err := h.shared.Table("absences").Get("user/ci")
				if err != nil || time.Now().After(end) {
					t.Fatalf("the connection is still there, or has not left %v: %s, %v", left, value, err)
				}
				if !h.nodes.directory.IsUserOnline("ci") && strings.Contains(string(value), `"left"`) == left {
					break
				}
			}
		}
	}
	c := comes(r1)
	resumes(t, c, nil)
	c.Cut()
	gone(true)
	say(h2, "groups/g/send", 1)
	say(h1, "users/ci/send", 2)
	c = comes(r2)
	for range 2 { // of two groups: in whatever order
		if got := <-heard; got != "1" && got != "2" {
			t.Fatalf("back: heard %s", got)
		}
	}
	if resumes(t, c, "resume") {
		t.Error("a gap")
	}
	for what, h := range map[string]*Hub{"its own node": h2, "the other node": h1} {
		for path, want := range map[string]string{
			"users/ci/invoke":                       `{"results":[{"connection_id":"` + c.ID() + `","result":"here"}]}`,
			"connections/" + c.ID() + "/invoke":     `{"results":[{"connection_id":"` + c.ID() + `","result":"here"}]}`,
			"groups/g/invoke?mode=one&timeout=30s":  `{"connection_id":"` + c.ID() + `","result":"here"}`,
			"users/nobody/invoke?mode=one":          `"code":"no_answer"`,
			"connections/x.hub-2/invoke?timeout=1m": `"code":"not_found"`,
		} {
			if w := ask(h, "POST", "/api/v1/"+path, `{"event":"Identify"}`, bearer); !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s at %s: %s, want %s", path, what, w.Body, want)
			}
		}
	}
	say(h1, "tenants/default/send", 3)
	hears("of the tenant", "3")
	if _, err := c.Invoke(t.Context(), "Echo", 1); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	gone(false)
	if got := say(h1, "users/ci/send", 4); got != `{"connections":0}` {
		t.Errorf("sent while he is away: %s", got)
	}
	say(h2, "groups/g/send", 5)
	comes(r1)
	hears("after a goodbye", "4")
	say(h2, "groups/g/send", 6)
	say(h2, "users/ci/send", 7)
	hears("then, of the group nothing", "7")
}
