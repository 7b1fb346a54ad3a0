package auth_test

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

var silent = slog.New(slog.DiscardHandler)

// site is a configuration of one of each.
func site() auth.Config {
	return auth.Config{
		Users: []auth.User{
			{Name: "ann", PasswordHash: hashOf("ann's"), Roles: []string{"operator"}, Areas: []string{"*"}},
			{Name: "vic", PasswordHash: hashOf("vic's"), Roles: []string{"viewer"}, Areas: []string{"north"}, Tenant: "other"},
			{Name: "jwt-only", Roles: []string{"admin"}},
		},
		Devices: []auth.Device{
			{Name: "gate-1", PasswordHash: hashOf("gate's"), Area: "north"},
			{Name: "gate-2", Area: "north"},
		},
	}
}

func newAuthority(t *testing.T, cfg auth.Config, table auth.Table) *auth.Authority {
	t.Helper()
	a, err := auth.New(cfg, table, nil, silent)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestSecretBesideAPassword(t *testing.T) {
	secret := strings.Repeat("s", 64)
	a := newAuthority(t, auth.Config{Devices: []auth.Device{
		{Name: "gate-1", PasswordHash: hashOf("gate's"), Secret: secret, Area: "north"}, {Name: "gate-2", Secret: secret + "2", Area: "north"},
	}}, nil)
	for _, c := range []struct {
		name, password string
		right          bool
	}{
		{"gate-1", "gate's", true}, {"gate-1", secret, true}, {"gate-2", secret + "2", true},
		{"gate-2", secret, false}, {"gate-2", "gate's", false}, {"gate-3", secret, false},
	} {
		if _, err := a.Password(t.Context(), "", c.name, c.password); (err == nil) != c.right {
			t.Errorf("%s with %.8s: %v", c.name, c.password, err)
		}
	}
	if err := (auth.Config{Devices: []auth.Device{{Name: "gate-1", Secret: "short"}}}).Validate(); err == nil || strings.Contains(err.Error(), "short") {
		t.Errorf("a short secret: %v", err)
	}
}

func TestPassword(t *testing.T) {
	a := newAuthority(t, site(), nil)
	for name, c := range map[string]struct {
		name, password string
		want           area.Code
	}{
		"user":                    {"ann", "ann's", ""},
		"device":                  {"gate-1", "gate's", ""},
		"wrong":                   {"ann", "gate's", area.CodeUnauthorized},
		"empty":                   {"ann", "", area.CodeUnauthorized},
		"unknown":                 {"bob", "ann's", area.CodeUnauthorized},
		"no password":             {"jwt-only", "", area.CodeUnauthorized},
		"no password, one given":  {"jwt-only", "ann's", area.CodeUnauthorized},
		"by certificate alone":    {"gate-2", "gate's", area.CodeUnauthorized},
		"longer than is hashed":   {"ann", strings.Repeat("x", 1025), area.CodeUnauthorized},
		"the hash as a password":  {"ann", hashOf("ann's"), area.CodeUnauthorized},
		"case of the name counts": {"Ann", "ann's", area.CodeUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // remembered the second time
				p, err := a.Password(context.Background(), "", c.name, c.password)
				if area.CodeOf(err) != c.want {
					t.Fatalf("error %v, want code %q", err, c.want)
				}
				if err == nil && p.Name != c.name {
					t.Errorf("principal %+v", p)
				}
			}
		})
	}
	if st := a.Stats(); st.Remembered != 2 || st.Passwords != 4 || st.WrongPasswords != 18 {
		t.Errorf("stats %+v; want 2 remembered of 4, 18 wrong", st)
	}
}

// TestWrongPasswordsAreSlowed is RELIABILITY.md §2, brute force.
func TestWrongPasswordsAreSlowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t, site(), nil)
		try := func(source, name, password string) error {
			_, err := a.Password(context.Background(), source, name, password)
			return err
		}
		const here = "192.0.2.1:4711"
		if err := try(here, "gate-1", "gate's"); err != nil {
			t.Fatal(err)
		}
		refused := 0
		for i := range 30 {
			err := try("192.0.2.1:"+string(rune('0'+i%10)), "ann", "guess")
			if area.CodeOf(err) == area.CodeRate {
				refused++
				if wait, ok := auth.RetryAfter(err); !ok || wait <= 0 || wait > time.Second {
					t.Errorf("wait %s, %t; want up to 1s", wait, ok)
				}
			}
		}
		if refused != 25 {
			t.Errorf("%d of 30 refused, want 25", refused)
		}
		if err := try(here, "ann", "ann's"); area.CodeOf(err) != area.CodeRate {
			t.Errorf("the right password from there: %v, want rate", err)
		}
		if err := try("198.51.100.7", "ann", "ann's"); err != nil {
			t.Errorf("the right password from elsewhere: %v", err)
		}
		if err := try(here, "gate-1", "gate's"); err != nil {
			t.Errorf("a neighbour that has signed in from there: %v", err)
		}
		var waits []time.Duration
		for range 12 {
			err := try(here, "ann", "guess")
			if area.CodeOf(err) == area.CodeRate {
				wait, _ := auth.RetryAfter(err)
				waits = append(waits, wait)
				time.Sleep(wait)
			}
		}
		want := []time.Duration{1, 2, 4, 8, 16, 32}
		for i := range want {
			if waits[i] != want[i]*time.Second {
				t.Errorf("waits %v, want %v s first", waits, want)
				break
			}
		}
		time.Sleep(20 * time.Minute)
		if err := try(here, "ann", "ann's"); err != nil {
			t.Errorf("after a while: %v", err)
		}
	})
}

func TestSourcesAreNetworks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // where the wait is not over before it is looked for
		a := newAuthority(t, site(), nil)
		ctx := context.Background()
		for i := range 5 {
			_, _ = a.Password(ctx, "[2001:db8::"+string(rune('1'+i))+"]:1", "ann", "guess")
		}
		if _, err := a.Password(ctx, "2001:db8::ffff", "ann", "ann's"); area.CodeOf(err) != area.CodeRate {
			t.Errorf("the same /64: %v, want rate", err)
		}
		if _, err := a.Password(ctx, "2001:db8:0:1::1", "ann", "ann's"); err != nil {
			t.Errorf("another /64: %v", err)
		}
	})
}

func TestCertificate(t *testing.T) {
	a := newAuthority(t, site(), nil)
	for name, c := range map[string]struct {
		cn   string
		dns  []string
		want string
	}{
		"common name":      {"gate-1", nil, "gate-1"},
		"alternative":      {"Gate One", []string{"gate-2"}, "gate-2"},
		"both":             {"gate-2", []string{"gate-2"}, "gate-2"},
		"two devices":      {"gate-1", []string{"gate-2"}, ""},
		"a user":           {"ann", nil, ""},
		"unlisted":         {"gate-9", nil, ""},
		"odd characters":   {"gate-1\x00", nil, ""},
		"more of a name":   {"CN=gate-1", nil, ""},
		"case":             {"GATE-1", nil, ""},
		"nothing":          {"", nil, ""},
		"a wildcard":       {"", []string{"*"}, ""},
		"space":            {"gate-1 ", nil, ""},
		"list in one name": {"gate-1,gate-2", nil, ""},
	} {
		leaf := &x509.Certificate{Subject: pkix.Name{CommonName: c.cn}, DNSNames: c.dns}
		p, err := a.Certificate(leaf)
		if p.Name != c.want || (c.want == "") != (area.CodeOf(err) == area.CodeUnauthorized) {
			t.Errorf("%s: %q, %v; want %q", name, p.Name, err, c.want)
		}
	}
}

func TestMay(t *testing.T) {
	who := map[string]auth.Principal{
		"viewer":    {Roles: []string{"viewer"}, Areas: []string{"north"}},
		"announcer": {Roles: []string{"announcer"}, Areas: []string{"north"}},
		"operator":  {Roles: []string{"operator"}, Areas: []string{"north"}},
		"all":       {Roles: []string{"operator"}, Areas: []string{"*"}},
		"admin":     {Roles: []string{"admin"}},
		"two roles": {Roles: []string{"viewer", "announcer"}, Areas: []string{"north"}},
		"unknown":   {Roles: []string{"root", "Admin"}, Areas: []string{"*"}},
		"no area":   {Roles: []string{"operator"}},
		"device":    {Kind: auth.KindDevice, Area: "north", Roles: []string{"admin"}, Areas: []string{"*"}},
		"anonymous": auth.Anonymous(),
		"nobody":    {},
	}
	// The rights in area north, in area south, and where there is none: the
	// first letters of what may be done.
	for name, want := range map[string][3]string{
		"viewer":    {"r", "", "r"},
		"announcer": {"ra", "", "r"},
		"operator":  {"rao", "", "r"},
		"all":       {"rao", "rao", "rao"},
		"admin":     {"raoa", "raoa", "raoa"},
		"two roles": {"ra", "", "r"},
		"unknown":   {"", "", ""},
		"no area":   {"", "", "r"},
		"device":    {"r", "", "r"},
		"anonymous": {"raoa", "raoa", "raoa"},
		"nobody":    {"", "", ""},
	} {
		for i, in := range []area.Name{"north", "south", ""} {
			got := ""
			for _, a := range []auth.Action{auth.Read, auth.Announce, auth.Operate, auth.Admin} {
				if err := who[name].May(a, in); err == nil {
					got += a.String()[:1]
				} else if area.CodeOf(err) != area.CodeForbidden {
					t.Errorf("%s: %v is not forbidden", name, err)
				}
			}
			if got != want[i] {
				t.Errorf("%s in %q may %q, want %q", name, in, got, want[i])
			}
		}
	}
}

func TestOwns(t *testing.T) {
	for name, c := range map[string]struct {
		principal, client string
		want              bool
	}{
		"name":                 {"gate-1", "gate-1", true},
		"name and more":        {"gate-1", "gate-1:2", true},
		"nothing after":        {"gate-1", "gate-1:", true},
		"longer":               {"gate-1", "gate-12", false},
		"another":              {"gate-1", "gate-2:gate-1", false},
		"colon in the name":    {"a:b", "a:b", false},
		"colon, and its front": {"a:b", "a", false},
		"empty":                {"gate-1", "", false},
	} {
		if got := (auth.Principal{Name: c.principal}).Owns(c.client); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestConfigTellsAllFaults(t *testing.T) {
	cfg := auth.Config{
		Users: []auth.User{{Name: ".x", PasswordHash: "plain", Tenant: "a b", Areas: []string{"a/b"}}, {Name: "gate-1"}},
		Devices: []auth.Device{{Name: "gate-1", Area: "x y"}, {Name: "tacet-1", Publish: []string{"a#", "$SYS/#", "@t/#"},
			Subscribe: []string{"!"}}},
		Issuers: []auth.Issuer{{}, {Issuer: "x", Secret: []byte("short"), Algorithms: []string{"RS256"}}, {Issuer: "x", JWKSURL: "http://example.org/keys"},
			{Issuer: "y", PublicKey: []byte("no key"), Secret: []byte("x")}, {Issuer: "z", PublicKey: []byte("no key"), Algorithms: []string{"none"}}},
	}
	err := cfg.Validate()
	for _, want := range []string{"users[0].name", "users[0].password_hash", "users[0].tenant", "users[0].areas[0]", "devices[0].name: \"gate-1\" is defined at users[1].name",
		"devices[0].area", "devices[1].name", "devices[1].publish[0]", "devices[1].publish[1]", "devices[1].publish[2]", "devices[1].subscribe[0]",
		"jwt[0].issuer", "jwt[0]: needs", "jwt[1].algorithms", "jwt[1].hmac_secret_file", "jwt[2].issuer", "jwt[2].jwks_url", "jwt[3]: needs", "jwt[4].algorithms", "jwt[4].public_key_file"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %s", want)
		}
	}
	if t.Failed() {
		t.Log(err)
	}
	if _, err := auth.New(cfg, nil, nil, silent); err == nil {
		t.Error("New takes it")
	}
}

// heard gathers revocations.
func heard(a *auth.Authority) func() []string {
	var mu sync.Mutex
	var got []string
	a.Watch(func(r auth.Revoked) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.Tenant+"/"+r.Name+r.Issuer)
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		slices.Sort(got)
		return got
	}
}

func TestReloadRevokesWhatHasChanged(t *testing.T) {
	a := newAuthority(t, site(), nil)
	got := heard(a)
	ann, err := a.Password(context.Background(), "", "ann", "ann's")
	if err != nil || a.Stands(ann) != nil {
		t.Fatal(err, a.Stands(ann))
	}
	vic, _ := a.Password(context.Background(), "", "vic", "vic's")
	gate, _ := a.Password(context.Background(), "", "gate-1", "gate's")
	next := site()
	next.Users[0].Roles = []string{"viewer"}
	next.Devices = next.Devices[1:]
	if err := a.Reload(next); err != nil {
		t.Fatal(err)
	}
	if want := []string{"default/ann", "default/gate-1"}; !slices.Equal(got(), want) {
		t.Errorf("revoked %v, want %v", got(), want)
	}
	if a.Stands(ann) == nil || a.Stands(gate) == nil || a.Stands(vic) != nil {
		t.Errorf("stand: ann %v, gate-1 %v, vic %v; want the last alone", a.Stands(ann), a.Stands(gate), a.Stands(vic))
	}
	if _, err := a.Password(context.Background(), "", "gate-1", "gate's"); area.CodeOf(err) != area.CodeUnauthorized {
		t.Errorf("gate-1 after: %v", err)
	}
	if err := a.Reload(auth.Config{Users: []auth.User{{Name: "-"}}}); err == nil || len(got()) != 2 {
		t.Errorf("a bad configuration: %v, revoked %v", err, got())
	}
	if err := a.Reload(auth.Config{}); err == nil || a.Open() {
		t.Errorf("a configuration without anybody: %v, open %t", err, a.Open())
	}
}

func TestOpenMode(t *testing.T) {
	a := newAuthority(t, auth.Config{}, nil)
	got := heard(a)
	if !a.Open() || a.Stands(auth.Anonymous()) != nil {
		t.Error("not open")
	}
	if _, err := a.Enrol(context.Background(), auth.Enrolment{Device: "gate-1"}); area.CodeOf(err) != area.CodeConflict {
		t.Errorf("Enrol: %v", err)
	}
	if _, err := a.CreateToken(context.Background(), auth.Token{Name: "x", Roles: []string{"admin"}}); area.CodeOf(err) != area.CodeConflict {
		t.Errorf("CreateToken: %v", err)
	}
	if err := a.Reload(site()); err != nil || a.Open() || a.Stands(auth.Anonymous()) == nil {
		t.Errorf("closed: %v, open %t", err, a.Open())
	}
	if want := []string{"/"}; !slices.Equal(got(), want) {
		t.Errorf("revoked %q, want everybody", got())
	}
	if !(auth.Revoked{}).Hits(auth.Anonymous()) {
		t.Error("everybody is not anonymous")
	}
}
