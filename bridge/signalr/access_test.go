package signalr_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
)

// byToken knows some people by their token, which is their name.
func byToken(r *http.Request) (signalr.Principal, error) {
	who := map[string]signalr.Principal{
		"":    {},
		"ann": {Name: "ann", Roles: []string{"guest"}},
		"bob": {Name: "bob", Roles: []string{"guest", "admin"}, Claims: map[string]any{"sub": "b-1", "gates": []any{"12", 13}, "level": 3}},
	}
	p, ok := who[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	if !ok {
		return p, errors.New("unknown token")
	}
	return p, nil
}

func TestMethodsRequire(t *testing.T) {
	cfg := signalr.Config{Authenticate: byToken, Policies: map[string]signalr.Requirement{
		"gate": signalr.RequireAll(signalr.RequireUser(), signalr.RequireClaim("gates", "13")),
	}}
	ok := signalr.Do0(func(context.Context, *signalr.Call) error { return nil })
	h := newSite(t, cfg, func(s *signalr.Server) {
		s.Method("User", ok.Requiring(signalr.RequireUser()))
		s.Method("Admin", ok.Requiring(signalr.RequireUser(), signalr.RequireRole("chief", "admin")))
		s.Method("Level", ok.Requiring(signalr.RequireClaim("level", "3")))
		s.Method("Claim", ok.Requiring(signalr.RequireClaim("level")))
		s.Method("Policy", ok.Requiring(signalr.RequirePolicy("gate")))
		s.Method("Unwritten", ok.Requiring(signalr.RequirePolicy("nothing")))
		s.Method("Either", ok.Requiring(signalr.RequireAny(signalr.RequireRole("chief"), signalr.RequireRole("guest"))))
		s.HandleStream("Stream", func(context.Context, *signalr.Call, *signalr.Stream[any]) error { return nil }, signalr.RequireUser())
	})
	for _, tc := range []struct{ token, allowed, denied string }{
		{"", "Void", "User Admin Level Claim Policy Unwritten Either"},
		{"ann", "Void User Either", "Admin Level Claim Policy Unwritten"},
		{"bob", "Void User Admin Level Claim Policy Either", "Unwritten"},
	} {
		c := h.dial(t, signalrtest.Options{AccessToken: tc.token})
		for _, m := range strings.Fields(tc.allowed) {
			if _, err := c.Invoke(context.Background(), m); err != nil {
				t.Errorf("%q calls %s: %v", tc.token, m, err)
			}
		}
		for _, m := range strings.Fields(tc.denied) {
			_, err := c.Invoke(context.Background(), m)
			if want := "Failed to invoke '" + m + "' because user is unauthorized"; err == nil || err.Error() != want {
				t.Errorf("%q calls %s: %v, want %s", tc.token, m, err, want)
			}
		}
	}
	if n := h.Stats().DeniedCalls; n != 13 {
		t.Errorf("%d denied", n)
	}
	s, err := h.dial(t, signalrtest.Options{}).Stream(context.Background(), "Stream")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Next(context.Background()); err == nil || err.Error() != "Failed to invoke 'Stream' because user is unauthorized" {
		t.Errorf("stream: %v", err)
	}
}

func TestHubRequires(t *testing.T) {
	h := newSite(t, signalr.Config{Authenticate: byToken, Require: []signalr.Requirement{signalr.RequireRole("admin")}}, nil)
	for token, want := range map[string]int{"": 401, "Bearer nobody": 401, "Bearer ann": 403, "Bearer bob": 200} {
		if got := h.status("POST", hubURL+"/negotiate?negotiateVersion=1", "Authorization", token).Code; got != want {
			t.Errorf("negotiate of %q: %d, want %d", token, got, want)
		}
	}
	if got := h.status("GET", hubURL, upgrading...).Code; got != 401 {
		t.Errorf("upgrade without a token: %d", got)
	}
	invoke(t, h.dial(t, signalrtest.Options{AccessToken: "bob"}), "Void")
}

func TestGroupsRequire(t *testing.T) {
	h := newSite(t, signalr.Config{Authenticate: byToken}, func(s *signalr.Server) {
		s.RequireForGroups("staff", signalr.RequireUser())
		s.RequireForGroups("staff:chiefs", signalr.RequireRole("admin"))
	})
	for _, tc := range []struct{ token, allowed, denied string }{
		{"", "hall", "staff staff:all staff:chiefs"},
		{"ann", "hall staff staff:all", "staff:chiefs"},
		{"bob", "hall staff staff:all staff:chiefs:x", ""},
	} {
		c := h.dial(t, signalrtest.Options{AccessToken: tc.token})
		for _, g := range strings.Fields(tc.allowed) {
			invoke(t, c, "JoinGroup", g)
		}
		conn := h.Conn(c.ID())
		for _, g := range strings.Fields(tc.denied) {
			if _, err := conn.Join(g); !errors.Is(err, signalr.ErrForbidden) {
				t.Errorf("%q joins %s: %v", tc.token, g, err)
			}
			if _, err := conn.JoinFor(g, func(string) bool { return true }); !errors.Is(err, signalr.ErrForbidden) {
				t.Errorf("%q joins a part of %s: %v", tc.token, g, err)
			}
		}
	}
}

func TestUserFromAClaim(t *testing.T) {
	h := newSite(t, signalr.Config{Authenticate: byToken, UserClaim: "sub"}, nil)
	for token, want := range map[string]string{"": "", "ann": "", "bob": "b-1"} {
		c := h.dial(t, signalrtest.Options{AccessToken: token})
		invoke(t, c, "Void")
		if got := h.Conn(c.ID()).User(); got != want {
			t.Errorf("user of %q is %q, want %q", token, got, want)
		}
	}
	if n := len(h.User("b-1").Conns()); n != 1 {
		t.Errorf("%d connections of the user", n)
	}
}
