package auth_test

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"errors"
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
	if _, _, err := a.Enrol(context.Background(), auth.Enrolment{Device: "gate-1"}); area.CodeOf(err) != area.CodeConflict {
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

// table is a Table that a test can look into, and that can fail.
type table struct {
	mu   sync.Mutex
	by   map[string][]byte
	fail error
}

func (m *table) Load(each func(string, []byte) error) error {
	for k, v := range m.by {
		if err := each(k, v); err != nil {
			return err
		}
	}
	return nil
}

func (m *table) Put(_ context.Context, key string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	if m.by == nil {
		m.by = map[string][]byte{}
	}
	m.by[key] = value
	return nil
}

func (m *table) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	delete(m.by, key)
	return nil
}

func (m *table) text() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, _ := json.Marshal(m.by)
	s := string(b)
	for k, v := range m.by {
		s += k + string(v)
	}
	return s
}

func TestEnrolment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, kept := context.Background(), &table{}
		a := newAuthority(t, site(), kept)
		got := heard(a)
		code, expires, err := a.Enrol(ctx, auth.Enrolment{Device: "gate-12", Area: "north", By: "ann"})
		if err != nil || len(strings.ReplaceAll(code, "-", "")) != 28 || time.Until(expires) > 15*time.Minute {
			t.Fatalf("code %q until %s, %v", code, expires, err)
		}
		if strings.Contains(kept.text(), code) || strings.Contains(kept.text(), strings.ReplaceAll(code, "-", "")) {
			t.Error("the code is kept")
		}
		a = newAuthority(t, site(), kept) // a restart
		got = heard(a)
		won := make(chan auth.Credential, 20)
		var work sync.WaitGroup
		for range 20 {
			work.Go(func() {
				if c, err := a.Redeem(ctx, "", strings.ToLower(strings.ReplaceAll(code, "-", " "))); err == nil {
					won <- c
				} else if area.CodeOf(err) != area.CodeNotFound {
					t.Error(err)
				}
			})
		}
		work.Wait()
		if len(won) != 1 {
			t.Fatalf("%d got a credential, want 1", len(won))
		}
		c := <-won
		if c.Device != "gate-12" || c.Area != "north" || c.Tenant != "default" || len(c.Secret) < 26 || strings.Contains(kept.text(), c.Secret) {
			t.Errorf("credential %+v; kept %s", c, kept.text())
		}
		for range 2 {
			p, err := a.Password(ctx, "", "gate-12", c.Secret)
			if err != nil || p.Area != "north" || p.Kind != auth.KindDevice {
				t.Fatalf("%+v, %v", p, err)
			}
			a = newAuthority(t, site(), kept)
			got = heard(a)
		}
		p, _ := a.Password(ctx, "", "gate-12", c.Secret)
		if list := a.Devices(""); len(list) != 3 || list[1].Device != "gate-12" || list[1].Configured || list[1].By != "ann" {
			t.Errorf("devices %+v", list)
		}
		if err := a.Revoke(ctx, "other", "gate-12"); area.CodeOf(err) != area.CodeNotFound {
			t.Errorf("revoked by another tenant: %v", err)
		}
		if err := a.Revoke(ctx, "", "gate-12"); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Password(ctx, "", "gate-12", c.Secret); area.CodeOf(err) != area.CodeUnauthorized || a.Stands(p) == nil {
			t.Errorf("after the revocation: %v, stands %v", err, a.Stands(p))
		}
		if want := []string{"default/gate-12"}; !slices.Equal(got(), want) {
			t.Errorf("revoked %v", got())
		}
		if len(kept.by) != 0 {
			t.Errorf("left behind: %s", kept.text())
		}
	})
}

func TestEnrolmentRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, kept := context.Background(), &table{}
		a := newAuthority(t, site(), kept)
		for device, want := range map[area.DeviceID]area.Code{"gate-1": area.CodeConfigured, "ann": area.CodeExists, "a b": area.CodeInvalid, "tacet-x": area.CodeInvalid} {
			if _, _, err := a.Enrol(ctx, auth.Enrolment{Device: device}); area.CodeOf(err) != want {
				t.Errorf("%s: %v, want %s", device, err, want)
			}
		}
		code, _, err := a.Enrol(ctx, auth.Enrolment{Device: "gate-12"})
		if err != nil {
			t.Fatal(err)
		}
		kept.fail = area.Errorf(area.CodeDiskFull, "full")
		if _, err := a.Redeem(ctx, "", code); area.CodeOf(err) != area.CodeDiskFull {
			t.Errorf("full disk: %v", err)
		}
		kept.fail = nil
		time.Sleep(15 * time.Minute)
		if _, err := a.Redeem(ctx, "", code); area.CodeOf(err) != area.CodeNotFound {
			t.Errorf("too late: %v", err)
		}
		for range 5 {
			_, _ = a.Redeem(ctx, "192.0.2.1", "0000-0000")
		}
		if _, err := a.Redeem(ctx, "192.0.2.1", "0000-0000"); area.CodeOf(err) != area.CodeRate {
			t.Errorf("the sixth wrong code: %v, want rate", err)
		}
		code, _, _ = a.Enrol(ctx, auth.Enrolment{Device: "gate-13"})
		if err := a.Revoke(ctx, "", "gate-13"); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Redeem(ctx, "", code); area.CodeOf(err) != area.CodeNotFound {
			t.Errorf("a code taken back: %v", err)
		}
		if err := a.Revoke(ctx, "", "gate-1"); area.CodeOf(err) != area.CodeConfigured {
			t.Errorf("a configured device: %v", err)
		}
		if err := a.Revoke(ctx, "", "gate-99"); area.CodeOf(err) != area.CodeNotFound {
			t.Errorf("an unknown device: %v", err)
		}
	})
}

// TestEnrolledAgain: a new credential voids the old one.
func TestEnrolledAgain(t *testing.T) {
	ctx := context.Background()
	a := newAuthority(t, site(), nil)
	got := heard(a)
	var secrets []string
	for range 2 {
		code, _, err := a.Enrol(ctx, auth.Enrolment{Device: "gate-12"})
		if err != nil {
			t.Fatal(err)
		}
		c, err := a.Redeem(ctx, "", code)
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, c.Secret)
	}
	if _, err := a.Password(ctx, "", "gate-12", secrets[0]); err == nil || secrets[0] == secrets[1] {
		t.Error("the old credential is good still")
	}
	if _, err := a.Password(ctx, "", "gate-12", secrets[1]); err != nil {
		t.Error(err)
	}
	if want := []string{"default/gate-12"}; !slices.Equal(got(), want) {
		t.Errorf("revoked %v, want %v", got(), want)
	}
}

func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, kept := context.Background(), &table{}
		a := newAuthority(t, site(), kept)
		secret, err := a.CreateToken(ctx, auth.Token{Name: "ci", Roles: []string{"announcer"}, Areas: []string{"north"}, Expires: time.Now().Add(time.Hour), By: "ann"})
		if err != nil || strings.Contains(kept.text(), secret) || !auth.LooksLikeBearer(secret) {
			t.Fatalf("%q, %v", secret, err)
		}
		for name, want := range map[string]area.Code{"ci": area.CodeExists, "ann": area.CodeExists, "-": area.CodeInvalid} {
			if _, err := a.CreateToken(ctx, auth.Token{Name: name, Roles: []string{"viewer"}}); area.CodeOf(err) != want {
				t.Errorf("%s: %v, want %s", name, err, want)
			}
		}
		if _, err := a.CreateToken(ctx, auth.Token{Name: "x", Roles: []string{"root"}}); area.CodeOf(err) != area.CodeInvalid {
			t.Errorf("unknown role: %v", err)
		}
		a = newAuthority(t, site(), kept)
		p, err := a.Bearer(ctx, "", secret)
		if err != nil || p.Name != "ci" || p.Kind != auth.KindToken || p.May(auth.Announce, "north") != nil || p.May(auth.Announce, "south") == nil || a.Stands(p) != nil {
			t.Fatalf("%+v, %v, stands %v", p, err, a.Stands(p))
		}
		if _, err := a.Bearer(ctx, "", secret[:len(secret)-1]+"0"); area.CodeOf(err) != area.CodeUnauthorized {
			t.Errorf("another: %v", err)
		}
		if list := a.Tokens(""); len(list) != 1 || list[0].Name != "ci" || list[0].By != "ann" || len(a.Tokens("other")) != 0 {
			t.Errorf("tokens %+v", list)
		}
		time.Sleep(time.Hour)
		if _, err := a.Bearer(ctx, "", secret); area.CodeOf(err) != area.CodeUnauthorized || a.Stands(p) == nil {
			t.Errorf("expired: %v, stands %v", err, a.Stands(p))
		}
		got := heard(a)
		if err := a.DeleteToken(ctx, "other", "ci"); area.CodeOf(err) != area.CodeNotFound {
			t.Errorf("deleted by another tenant: %v", err)
		}
		if err := a.DeleteToken(ctx, "", "ci"); err != nil || !slices.Equal(got(), []string{"default/ci"}) || len(kept.by) != 0 {
			t.Errorf("%v, revoked %v, kept %s", err, got(), kept.text())
		}
	})
}

// TestStoredFormat reads what version 1 has written. It must go on to: files
// outlive programs.
func TestStoredFormat(t *testing.T) {
	hash := func(secret string) string {
		sum := sha256.Sum256([]byte(secret))
		return hex.EncodeToString(sum[:])
	}
	kept := &table{by: map[string][]byte{
		"device/gate-12": []byte(`{"v":1,"device":"gate-12","area":"north","tenant":"default","hash":"` + hash("its secret") + `","created":"2026-11-28T10:00:00.5Z","by":"ann","enrolment":"00"}`),
		"token/ci":       []byte(`{"v":1,"name":"ci","tenant":"default","roles":["viewer"],"areas":["*"],"created":"2026-11-28T10:00:00Z","by":"ann","hash":"` + hash("tct_1") + `"}`),
		"enrolment/" + hash("0123456789ABCDEFGHJKMNPQRSTV"): []byte(`{"v":1,"device":"gate-13","area":"","tenant":"default","by":"ann","expires":"2126-11-28T10:00:00Z"}`),
		"enrolment/00": []byte(`{"v":1,"device":"gate-12","area":"north","tenant":"default","by":"ann","expires":"2126-11-28T10:00:00Z"}`),
	}}
	a := newAuthority(t, site(), kept)
	ctx := context.Background()
	if p, err := a.Password(ctx, "", "gate-12", "its secret"); err != nil || p.Area != "north" {
		t.Errorf("device: %+v, %v", p, err)
	}
	if p, err := a.Bearer(ctx, "", "tct_1"); err != nil || p.Name != "ci" || !p.Expires.IsZero() {
		t.Errorf("token: %+v, %v", p, err)
	}
	if c, err := a.Redeem(ctx, "", "oi23-4567-89ab-cdef-ghjk-mnpq-rstv"); err != nil || c.Device != "gate-13" {
		t.Errorf("code: %+v, %v", c, err)
	}
	if st := a.Stats(); st.BadRecords != 0 || st.Enrolments != 0 { // the code of gate-12 is used, its record was left over
		t.Errorf("stats %+v", st)
	}
	if err := a.Revoke(ctx, "", "gate-12"); err != nil || len(kept.by) != 2 {
		t.Errorf("%v; kept %s", err, kept.text())
	}
}

// TestBadRecordsGrantNothing: what cannot be read is no reason not to start.
func TestBadRecordsGrantNothing(t *testing.T) {
	kept := &table{by: map[string][]byte{"device/gate-9": []byte("{"), "token/x": []byte(`{"v":2}`), "enrolment/00": []byte("null"), "what": nil,
		"device/gate-8": []byte(`{"v":1,"device":"gate-7","tenant":"default","hash":"` + strings.Repeat("0", 64) + `"}`)}}
	a := newAuthority(t, site(), kept)
	if st := a.Stats(); st.BadRecords != 5 || st.Principals != 5 || st.Tokens != 0 {
		t.Errorf("stats %+v; want 5 bad records", st)
	}
	broken := errors.New("broken")
	if _, err := auth.New(site(), failing{broken}, nil, silent); !errors.Is(err, broken) {
		t.Errorf("a table that cannot be read: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Load(func(string, []byte) error) error     { return f.err }
func (f failing) Put(context.Context, string, []byte) error { return f.err }
func (f failing) Delete(context.Context, string) error      { return f.err }
