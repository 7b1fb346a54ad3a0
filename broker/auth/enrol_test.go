package auth_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

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

func (m *table) PutIf(_ context.Context, key string, old, value []byte) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	is := m.by[key]
	switch {
	case m.fail != nil:
		return nil, false, m.fail
	case (is == nil) != (old == nil) || string(is) != string(old):
		return is, false, nil
	case value == nil:
		delete(m.by, key)
	default:
		m.by[key] = value
	}
	return nil, true, nil
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
		made, err := a.Enrol(ctx, auth.Enrolment{Device: "gate-12", Area: "north", By: "ann"})
		code, expires := made.Text, made.Expires
		if err != nil || made.Replaced || len(strings.ReplaceAll(code, "-", "")) != 28 || time.Until(expires) > 15*time.Minute {
			t.Fatalf("code %q until %s, %v", code, expires, err)
		}
		if strings.Contains(kept.text(), code) || strings.Contains(kept.text(), strings.ReplaceAll(code, "-", "")) {
			t.Error("the code is kept")
		}
		a = newAuthority(t, site(), kept) // a restart
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
		}
		got := heard(a)
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
			if _, err := a.Enrol(ctx, auth.Enrolment{Device: device}); area.CodeOf(err) != want {
				t.Errorf("%s: %v, want %s", device, err, want)
			}
		}
		code, err := a.Enrol(ctx, auth.Enrolment{Device: "gate-12"})
		if err != nil {
			t.Fatal(err)
		}
		kept.fail = area.Errorf(area.CodeDiskFull, "full")
		if _, err := a.Redeem(ctx, "", code.Text); area.CodeOf(err) != area.CodeDiskFull {
			t.Errorf("full disk: %v", err)
		}
		kept.fail = nil
		time.Sleep(15 * time.Minute)
		if _, err := a.Redeem(ctx, "", code.Text); area.CodeOf(err) != area.CodeNotFound {
			t.Errorf("too late: %v", err)
		}
		for range 5 {
			_, _ = a.Redeem(ctx, "192.0.2.1", "0000-0000")
		}
		if _, err := a.Redeem(ctx, "192.0.2.1", "0000-0000"); area.CodeOf(err) != area.CodeRate {
			t.Errorf("the sixth wrong code: %v, want rate", err)
		}
		code, _ = a.Enrol(ctx, auth.Enrolment{Device: "gate-13"})
		if err := a.Revoke(ctx, "", "gate-13"); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Redeem(ctx, "", code.Text); area.CodeOf(err) != area.CodeNotFound {
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
// A code that waits can be looked at as often as one likes; a wrong one counts as
// one that was tried.
func TestCodeThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		a := newAuthority(t, site(), &table{})
		code, err := a.Enrol(ctx, auth.Enrolment{Device: "gate-12", Area: "north"})
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if e, err := a.Waits("192.0.2.1", strings.ToLower(code.Text)); err != nil || e.Device != "gate-12" || e.Area != "north" {
				t.Fatalf("%+v, %v", e, err)
			}
		}
		if _, err := a.Redeem(ctx, "192.0.2.1", code.Text); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Waits("192.0.2.1", code.Text); area.CodeOf(err) != area.CodeNotFound {
			t.Errorf("a used code: %v", err)
		}
		for range 20 {
			_, _ = a.Waits("192.0.2.1", "0000-0000")
		}
		if _, err := a.Redeem(ctx, "192.0.2.1", "0000-0000"); area.CodeOf(err) != area.CodeRate {
			t.Errorf("after wrong codes: %v", err)
		}
		code, err = a.Enrol(ctx, auth.Enrolment{Device: "gate-13"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(15 * time.Minute)
		if _, err := a.Waits("192.0.2.2", code.Text); area.CodeOf(err) != area.CodeNotFound {
			t.Errorf("an expired code: %v", err)
		}
	})
}

func TestEnrolledAgain(t *testing.T) {
	ctx := context.Background()
	a := newAuthority(t, site(), nil)
	got := heard(a)
	var secrets []string
	for range 2 {
		code, err := a.Enrol(ctx, auth.Enrolment{Device: "gate-12"})
		if err != nil {
			t.Fatal(err)
		}
		c, err := a.Redeem(ctx, "", code.Text)
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
		other := "0"
		if strings.HasSuffix(secret, other) {
			other = "1"
		}
		if _, err := a.Bearer(ctx, "", secret[:len(secret)-1]+other); area.CodeOf(err) != area.CodeUnauthorized {
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
func (f failing) PutIf(context.Context, string, []byte, []byte) ([]byte, bool, error) {
	return nil, false, f.err
}

// TestRulesAreKept: an enrolled device has its rules after a restart, and a
// record with a rule that cannot be read grants nothing.
func TestRulesAreKept(t *testing.T) {
	ctx, kept := context.Background(), &table{}
	a := newAuthority(t, site(), kept)
	e := auth.Enrolment{Device: "gate-12", Area: "north", Publish: []string{"home/gate-12/#"}, Subscribe: []string{"!home/x", "home/#"}}
	code, err := a.Enrol(ctx, e)
	if err != nil {
		t.Fatal(err)
	}
	a = newAuthority(t, site(), kept)
	if w := a.Waiting(""); len(w) != 1 || !slices.Equal(w[0].Publish, e.Publish) {
		t.Errorf("it waits for %+v", w)
	}
	c, err := a.Redeem(ctx, "", code.Text)
	if err != nil {
		t.Fatal(err)
	}
	a = newAuthority(t, site(), kept)
	p, err := a.Password(ctx, "", "gate-12", c.Secret)
	if err != nil || !slices.Equal(p.Publish, e.Publish) || !slices.Equal(p.Subscribe, e.Subscribe) || !p.Access().MayPublish("home/gate-12/x") {
		t.Errorf("the device is %+v, %v", p, err)
	}
	if w := a.Waiting(""); len(w) != 0 {
		t.Errorf("it waits for %+v still", w)
	}
	kept.by["device/gate-12"] = []byte(strings.Replace(string(kept.by["device/gate-12"]), "home/gate-12/#", "home/#/x", 1))
	a = newAuthority(t, site(), kept)
	if _, err := a.Password(ctx, "", "gate-12", c.Secret); err == nil || a.Stats().BadRecords != 1 {
		t.Errorf("a rule that cannot be read: %v, %+v", err, a.Stats())
	}
	for _, bad := range []auth.Enrolment{
		{Device: "gate-13", Publish: []string{"$SYS/#"}}, {Device: "gate-13", Subscribe: []string{""}}, {Device: "gate-13", Publish: slices.Repeat([]string{"a"}, 257)},
	} {
		if _, err := a.Enrol(ctx, bad); area.CodeOf(err) != area.CodeInvalid {
			t.Errorf("%d and %d rules: %v", len(bad.Publish), len(bad.Subscribe), err)
		}
	}
}
