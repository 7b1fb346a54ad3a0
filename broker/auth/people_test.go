package auth_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// town is a hub with somebody of each role, in one area or in all.
func town() auth.Config {
	cfg := site()
	for _, u := range []auth.User{
		{Name: "admin", Roles: []string{"admin"}}, {Name: "bob", Roles: []string{"announcer"}, Areas: []string{"north"}},
		{Name: "eve", Roles: []string{"operator"}, Areas: []string{"south"}}, {Name: "vera", Roles: []string{"viewer"}, Areas: []string{"*"}},
		{Name: "tess", Roles: []string{"operator"}, Areas: []string{"*"}, Tenant: "other"},
	} {
		u.PasswordHash = hashOf(u.Name + "'s")
		cfg.Users = append(cfg.Users, u)
	}
	return cfg
}

// Who may announce in an area may come in at its leader as at the hub, with the same
// rights there and no more; a password that has the hub does not leave it.
func TestPeopleOfAnArea(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		a := newAuthority(t, town(), &table{})
		secrets := map[string]string{}
		for _, tok := range []auth.Token{
			{Name: "till", Roles: []string{"announcer"}, Areas: []string{"north"}, Expires: time.Now().Add(time.Hour)},
			{Name: "root", Roles: []string{"admin"}}, {Name: "look", Roles: []string{"viewer"}, Areas: []string{"*"}}, {Name: "far", Roles: []string{"operator"}, Areas: []string{"south"}},
		} {
			secret, err := a.CreateToken(ctx, tok)
			if err != nil {
				t.Fatal(err)
			}
			secrets[tok.Name] = secret
		}
		var cfg auth.Config
		var said []string
		for _, p := range a.People("north") {
			said = append(said, fmt.Sprint(p.Kind, " ", p.Name, " ", p.Role, " ", p.Everywhere, " ", p.ExpiresMs != 0))
			if err := cfg.Admit(p, "north"); err != nil {
				t.Errorf("%s: %v", p.Name, err)
			}
		}
		want := []string{"user ann operator true false", "token root operator true false", "user bob announcer false false", "token till announcer false true"}
		if !slices.Equal(said, want) {
			t.Fatalf("people %q, want %q", said, want)
		}
		leader := newAuthority(t, cfg, nil)
		for _, name := range []string{"admin", "eve", "vera", "tess"} {
			if _, err := leader.Password(ctx, "", name, name+"'s"); area.CodeOf(err) != area.CodeUnauthorized {
				t.Errorf("%s at the leader: %v", name, err)
			}
		}
		for _, name := range []string{"look", "far"} {
			if _, err := leader.Bearer(ctx, "", secrets[name]); area.CodeOf(err) != area.CodeUnauthorized {
				t.Errorf("%s at the leader: %v", name, err)
			}
		}
		bob, err := leader.Password(ctx, "", "bob", "bob's")
		if err != nil || bob.Kind != auth.KindUser || bob.May(auth.Announce, "north") != nil || bob.May(auth.Operate, "north") == nil || !bob.Access().MayPublish("tacet/area/north/submit") || bob.Access().MayPublish("tacet/device/gate-1/cmd/volume") {
			t.Errorf("bob: %+v %v", bob, err)
		}
		root, err := leader.Bearer(ctx, "", secrets["root"])
		if err != nil || root.May(auth.Operate, "north") != nil || root.May(auth.Admin, "") == nil || !root.Access().MayPublish("tacet/device/gate-1/cmd/volume") || root.Access().MayPublish("tacet/device/gate-1/status") {
			t.Errorf("root: %+v %v", root, err)
		}
		till, err := leader.Bearer(ctx, "", secrets["till"])
		if err != nil || leader.Stands(till) != nil {
			t.Errorf("till: %+v %v", till, err)
		}
		time.Sleep(2 * time.Hour)
		if _, err := leader.Bearer(ctx, "", secrets["till"]); err == nil || leader.Stands(till) == nil {
			t.Error("a token that has run out is taken at the leader")
		}
		if n := len(a.People("north")); n != 3 {
			t.Errorf("and the hub still hands it on: %d people", n)
		}
		// The next document has bob no more: he has no rights from then on.
		cfg.Users = slices.DeleteFunc(cfg.Users, func(u auth.User) bool { return u.Name == "bob" })
		cfg.Tokens = slices.DeleteFunc(cfg.Tokens, func(k auth.KnownToken) bool { return k.Name == "root" })
		if err := leader.Reload(cfg); err != nil || leader.Stands(bob) == nil || leader.Stands(root) == nil {
			t.Errorf("after the next document: %v, bob %v, root %v", err, leader.Stands(bob), leader.Stands(root))
		}
		if _, err := leader.Bearer(ctx, "", secrets["root"]); err == nil {
			t.Error("a token that was taken back is taken")
		}
	})
}

func TestAdmitRefuses(t *testing.T) {
	for name, p := range map[string]area.Person{
		"an admin":      {Name: "x", Kind: area.PersonUser, Hash: hashOf("x"), Role: "admin"},
		"a viewer":      {Name: "x", Kind: area.PersonUser, Hash: hashOf("x"), Role: "viewer"},
		"another kind":  {Name: "x", Kind: "device", Hash: hashOf("x"), Role: "operator"},
		"a short hash":  {Name: "x", Kind: area.PersonToken, Hash: "ab", Role: "operator"},
		"no hash":       {Name: "x", Kind: area.PersonUser, Hash: "x", Role: "operator"},
		"a bad name":    {Name: "-", Kind: area.PersonUser, Hash: hashOf("x"), Role: "operator"},
		"the hub's own": {Name: "tacet-hub", Kind: area.PersonUser, Hash: hashOf("x"), Role: "operator"},
	} {
		var cfg auth.Config
		if err := cfg.Admit(p, "north"); err == nil || !cfg.Empty() {
			t.Errorf("%s is admitted: %+v", name, cfg)
		}
	}
	k := auth.KnownToken{Token: auth.Token{Name: "x", Roles: []string{"operator"}}, Hash: "ab"}
	if err := (auth.Config{Tokens: []auth.KnownToken{k}}).Validate(); err == nil {
		t.Error("a token with a short hash is taken")
	}
}

// Each change is signalled, a new token too.
func TestChanges(t *testing.T) {
	a := newAuthority(t, site(), &table{})
	n := 0
	cancel := a.Changes(func() { n++ })
	if _, err := a.CreateToken(context.Background(), auth.Token{Name: "ci", Roles: []string{"viewer"}}); err != nil {
		t.Fatal(err)
	}
	_, _ = a.CreateToken(context.Background(), auth.Token{Name: "ci", Roles: []string{"viewer"}}) // it is there
	if err := a.DeleteToken(context.Background(), "", "ci"); err != nil {
		t.Fatal(err)
	}
	if err := a.Reload(site()); err != nil {
		t.Fatal(err)
	}
	cancel()
	_ = a.Reload(site())
	if n != 3 {
		t.Errorf("%d changes are signalled, want 3", n)
	}
}
