package auth_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// TestNothingChangesThatIsNotDurable: on a full disk every change is refused,
// and what was there before stands.
func TestNothingChangesThatIsNotDurable(t *testing.T) {
	ctx, kept := context.Background(), &table{}
	a := newAuthority(t, site(), kept)
	code, err := a.Enrol(ctx, auth.Enrolment{Device: "gate-12"})
	if err != nil {
		t.Fatal(err)
	}
	own, err := a.Redeem(ctx, "", code.Text)
	if err != nil {
		t.Fatal(err)
	}
	token, err := a.CreateToken(ctx, auth.Token{Name: "ci", Roles: []string{"viewer"}})
	if err != nil {
		t.Fatal(err)
	}
	got := heard(a)
	before := a.Stats()
	kept.fail = area.Errorf(area.CodeDiskFull, "full")
	for name, change := range map[string]func() error{
		"Enrol": func() error { _, err := a.Enrol(ctx, auth.Enrolment{Device: "gate-13"}); return err },
		"CreateToken": func() error {
			_, err := a.CreateToken(ctx, auth.Token{Name: "x", Roles: []string{"viewer"}})
			return err
		},
		"DeleteToken": func() error { return a.DeleteToken(ctx, "", "ci") },
		"Revoke":      func() error { return a.Revoke(ctx, "", "gate-12") },
	} {
		if err := change(); area.CodeOf(err) != area.CodeDiskFull {
			t.Errorf("%s: %v, want disk_full", name, err)
		}
	}
	if _, err := a.Password(ctx, "", "gate-12", own.Secret); err != nil {
		t.Errorf("the device: %v", err)
	}
	if _, err := a.Bearer(ctx, "", token); err != nil {
		t.Errorf("the token: %v", err)
	}
	if after := a.Stats(); after.Tokens != before.Tokens || after.Enrolments != before.Enrolments || after.Principals != before.Principals || len(got()) != 0 {
		t.Errorf("stats %+v, before %+v; revoked %v", after, before, got())
	}
}

// TestTokensAndCodesAreBounded: and codes that nobody came for make room.
func TestTokensAndCodesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, kept := context.Background(), &table{}
		a := newAuthority(t, site(), kept)
		for i := range 1000 {
			if _, err := a.CreateToken(ctx, auth.Token{Name: fmt.Sprint("t", i), Roles: []string{"viewer"}}); err != nil {
				t.Fatal(err)
			}
			if _, err := a.Enrol(ctx, auth.Enrolment{Device: area.DeviceID(fmt.Sprint("d", i))}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := a.CreateToken(ctx, auth.Token{Name: "one-more", Roles: []string{"viewer"}}); area.CodeOf(err) != area.CodeRate {
			t.Errorf("token 1001: %v, want rate", err)
		}
		if _, err := a.Enrol(ctx, auth.Enrolment{Device: "one-more"}); area.CodeOf(err) != area.CodeRate {
			t.Errorf("code 1001: %v, want rate", err)
		}
		time.Sleep(15 * time.Minute)
		if _, err := a.Enrol(ctx, auth.Enrolment{Device: "one-more"}); err != nil {
			t.Errorf("a quarter of an hour later: %v", err)
		}
		if n := a.Stats().Enrolments; n != 1 || len(kept.by) != 1001 {
			t.Errorf("%d codes and %d records, want 1 and 1001", n, len(kept.by))
		}
	})
}

func TestPublicKeys(t *testing.T) {
	k := newKeys(t)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k.rsa)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(1)}
	cert, err := x509.CreateCertificate(rand.Reader, leaf, leaf, &k.rsa.PublicKey, k.rsa)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	public := string(pemOf(t, &k.rsa.PublicKey))
	for name, c := range map[string]struct {
		text string
		alg  string
		ok   bool
	}{
		"PKIX":                  {public, "RS256", true},
		"PKCS 1":                {block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&k.rsa.PublicKey)), "PS512", true},
		"certificate":           {block("CERTIFICATE", cert), "RS256", true},
		"two, and text between": {public + "and\n" + string(pemOf(t, &k.ec.PublicKey)), "ES256", true},
		"of another kind":       {public, "ES256", false},
		"of another curve":      {string(pemOf(t, &k.ec.PublicKey)), "ES384", false},
		"1024 bits":             {string(pemOf(t, &small.PublicKey)), "RS256", false},
		"P-224":                 {string(pemOf(t, &p224.PublicKey)), "ES256", false},
		"private":               {block("PRIVATE KEY", private), "RS256", false},
		"broken":                {block("PUBLIC KEY", []byte("x")), "RS256", false},
		"broken certificate":    {block("CERTIFICATE", []byte("x")), "RS256", false},
		"no PEM":                {"x", "RS256", false},
	} {
		err := auth.Config{Issuers: []auth.Issuer{{Issuer: "x", PublicKey: []byte(c.text), Algorithms: []string{c.alg}}}}.Validate()
		if (err == nil) != c.ok {
			t.Errorf("%s: %v, want taken: %t", name, err, c.ok)
		}
	}
}

func TestWhereKeysMayBeFetched(t *testing.T) {
	for url, ok := range map[string]bool{
		"https://login.example.org/keys": true, "http://127.0.0.1:8080/keys": true, "http://[::1]/keys": true, "http://localhost/keys": true,
		"http://login.example.org/keys": false, "http://127.0.0.1.example.org/": false, "ftp://127.0.0.1/": false, "file:///etc/passwd": false,
		"https://user:secret@example.org/": false, "https:///keys": false, "keys": false, "https://exa mple.org": false,
	} {
		err := auth.Config{Issuers: []auth.Issuer{{Issuer: "x", JWKSURL: url}}}.Validate()
		if (err == nil) != ok {
			t.Errorf("%s: %v, want taken: %t", url, err, ok)
		}
		if err != nil && strings.Contains(err.Error(), "secret@") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

// TestAccessOf answers for those whom the Authority knows by name.
func TestAccessOf(t *testing.T) {
	k := newKeys(t)
	a := newAuthority(t, site(), nil)
	if x, ok := a.AccessOf("", "gate-1"); !ok || !x.MayPublish("tacet/device/gate-1/log") || x.MayPublish("tacet/device/gate-2/log") {
		t.Error("gate-1")
	}
	if x, ok := a.AccessOf("other", "vic"); !ok || !x.MayRead("tacet/area/north/busy") || x.MayRead("tacet/area/south/busy") {
		t.Error("vic")
	}
	for tenant, name := range map[string]string{"other": "gate-1", "": "vic", "default": "nobody"} {
		if _, ok := a.AccessOf(tenant, name); ok {
			t.Errorf("%s of tenant %q is known", name, tenant)
		}
	}
	if a.HasIssuers() {
		t.Error("issuers")
	}
	cfg := site()
	cfg.Issuers = k.issuers(t)
	if err := a.Reload(cfg); err != nil || !a.HasIssuers() {
		t.Errorf("%v; no issuers", err)
	}
	for tenant, want := range map[string]string{"": "", "default": "", "acme": "@acme/"} {
		if got := auth.Mountpoint(tenant); got != want {
			t.Errorf("mountpoint of %q is %q, want %q", tenant, got, want)
		}
	}
}
