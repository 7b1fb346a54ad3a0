package auth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// keys are one of each kind; another is somebody else's.
type keys struct {
	rsa, another *rsa.PrivateKey
	ec           *ecdsa.PrivateKey
	ed           ed25519.PrivateKey
	secret       []byte
}

func newKeys(t testing.TB) keys {
	t.Helper()
	var k keys
	var errs [4]error
	k.rsa, errs[0] = rsa.GenerateKey(rand.Reader, 2048)
	k.another, errs[1] = rsa.GenerateKey(rand.Reader, 2048)
	k.ec, errs[2] = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, k.ed, errs[3] = ed25519.GenerateKey(rand.Reader)
	k.secret = []byte(strings.Repeat("s3cret-", 6))
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	return k
}

func pemOf(t testing.TB, key crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// issuers is a configuration with an issuer of each kind of key.
func (k keys) issuers(t testing.TB) []auth.Issuer {
	return []auth.Issuer{
		{Issuer: "rsa", PublicKey: pemOf(t, &k.rsa.PublicKey), Attributes: []string{"role", "floor", "missing", "list"}},
		{Issuer: "hmac", Secret: k.secret},
		{Issuer: "ec", PublicKey: pemOf(t, &k.ec.PublicKey), Algorithms: []string{"ES256"}},
		{Issuer: "ed", PublicKey: pemOf(t, k.ed.Public()), Algorithms: []string{"EdDSA"}, Audience: "there", RoleClaim: "groups", UserClaim: "email", TenantClaim: "org"},
	}
}

// claims are good ones, changed by pairs of name and value; nil takes out.
func claims(issuer string, change ...any) jwt.MapClaims {
	c := jwt.MapClaims{"iss": issuer, "aud": "tacet", "sub": "kim", "roles": []string{"operator"}, "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix()}
	for i := 0; i < len(change); i += 2 {
		if change[i+1] == nil {
			delete(c, change[i].(string))
		} else {
			c[change[i].(string)] = change[i+1]
		}
	}
	return c
}

func sign(t testing.TB, method jwt.SigningMethod, key any, c jwt.MapClaims, header ...any) string {
	t.Helper()
	token := jwt.NewWithClaims(method, c)
	for i := 0; i < len(header); i += 2 {
		token.Header[header[i].(string)] = header[i+1]
	}
	s, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// assemble makes a token of parts that no library would.
func assemble(header, claims string, signature []byte) string {
	e := base64.RawURLEncoding
	return e.EncodeToString([]byte(header)) + "." + e.EncodeToString([]byte(claims)) + "." + e.EncodeToString(signature)
}

func text(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

func TestGoodJWT(t *testing.T) {
	k := newKeys(t)
	cfg := site()
	cfg.Issuers = k.issuers(t)
	a := newAuthority(t, cfg, nil)
	for name, raw := range map[string]string{
		"rsa":                  sign(t, jwt.SigningMethodRS256, k.rsa, claims("rsa")),
		"hmac":                 sign(t, jwt.SigningMethodHS256, k.secret, claims("hmac")),
		"ec":                   sign(t, jwt.SigningMethodES256, k.ec, claims("ec")),
		"ed, other claims":     sign(t, jwt.SigningMethodEdDSA, k.ed, claims("ed", "aud", "there", "email", "kim", "groups", "operator", "roles", nil, "org", "default")),
		"audience in a list":   sign(t, jwt.SigningMethodRS256, k.rsa, claims("rsa", "aud", []string{"x", "tacet"})),
		"a little too early":   sign(t, jwt.SigningMethodRS256, k.rsa, claims("rsa", "nbf", time.Now().Add(20*time.Second).Unix())),
		"a kid of no meaning":  sign(t, jwt.SigningMethodRS256, k.rsa, claims("rsa"), "kid", "../../etc/passwd"),
		"a jku, not looked at": sign(t, jwt.SigningMethodRS256, k.rsa, claims("rsa"), "jku", "http://127.0.0.1:1/keys"),
	} {
		p, err := a.Bearer(context.Background(), "192.0.2.1", raw)
		if err != nil || p.Name != "kim" || p.Kind != auth.KindUser || p.Tenant != "default" || p.May(auth.Operate, "north") != nil || p.May(auth.Admin, "") == nil ||
			a.Stands(p) != nil || p.Expires.IsZero() || p.Claims["iss"] == nil {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
		if !auth.LooksLikeBearer(raw) {
			t.Errorf("%s does not look like a token", name)
		}
	}
	p, err := a.Bearer(context.Background(), "", sign(t, jwt.SigningMethodRS256, k.rsa,
		claims("rsa", "areas", []string{"north"}, "tenant_id", "acme", "role", "x", "floor", 3, "list", []int{1}, "roles", "announcer")))
	if err != nil || p.Tenant != "acme" || p.May(auth.Announce, "north") != nil || p.May(auth.Announce, "south") == nil ||
		!maps.Equal(p.Attributes, map[string]string{"role": "x", "floor": "3"}) {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestHostileJWT is RELIABILITY.md §2 and §3: each must be refused, and nothing
// fetched.
func TestHostileJWT(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked.Add(1) }))
	defer server.Close()
	k := newKeys(t)
	cfg := site()
	cfg.Issuers = k.issuers(t)
	a := newAuthority(t, cfg, nil)
	good := sign(t, jwt.SigningMethodRS256, k.rsa, claims("rsa"))
	part := strings.Split(good, ".")
	public := pemOf(t, &k.rsa.PublicKey)
	der, _ := x509.MarshalPKIXPublicKey(&k.rsa.PublicKey)
	rs := func(change ...any) string {
		return sign(t, jwt.SigningMethodRS256, k.rsa, claims("rsa", change...))
	}
	header := func(h ...any) string {
		return sign(t, jwt.SigningMethodRS256, k.another, claims("rsa"), h...)
	}
	own := map[string]any{"kty": "RSA", "n": base64.RawURLEncoding.EncodeToString(k.another.N.Bytes()), "e": "AQAB"}
	flipped, _ := base64.RawURLEncoding.DecodeString(part[2])
	flipped[10] ^= 1
	now := time.Now().Unix()

	cases := map[string]string{
		"alg none":                      assemble(`{"alg":"none"}`, text(claims("rsa")), nil),
		"alg None":                      assemble(`{"alg":"None"}`, text(claims("rsa")), nil),
		"alg NONE":                      assemble(`{"alg":"NONE"}`, text(claims("rsa")), nil),
		"alg empty":                     assemble(`{"alg":""}`, text(claims("rsa")), nil),
		"alg missing":                   assemble(`{"typ":"JWT"}`, text(claims("rsa")), nil),
		"alg a number":                  assemble(`{"alg":256}`, text(claims("rsa")), nil),
		"alg none with a signature":     assemble(`{"alg":"none"}`, text(claims("rsa")), flipped),
		"alg lower case":                assemble(`{"alg":"rs256"}`, text(claims("rsa")), flipped),
		"public key as HMAC secret":     sign(t, jwt.SigningMethodHS256, public, claims("rsa")),
		"the same, trimmed":             sign(t, jwt.SigningMethodHS256, []byte(strings.TrimSpace(string(public))), claims("rsa")),
		"the same, DER":                 sign(t, jwt.SigningMethodHS256, der, claims("rsa")),
		"an algorithm that is not ours": sign(t, jwt.SigningMethodRS512, k.rsa, claims("rsa")),
		"PSS":                           sign(t, jwt.SigningMethodPS256, k.rsa, claims("rsa")),
		"RS for the HMAC issuer":        sign(t, jwt.SigningMethodRS256, k.rsa, claims("hmac")),
		"EC for the RSA issuer":         sign(t, jwt.SigningMethodES256, k.ec, claims("rsa")),
		"embedded jwk":                  header("jwk", own),
		"jku":                           header("jku", server.URL),
		"x5u":                           header("x5u", server.URL),
		"x5c":                           header("x5c", []string{base64.StdEncoding.EncodeToString(der)}),
		"kid that is a path":            header("kid", "../../../dev/null"),
		"kid that is a query":           header("kid", "x' UNION SELECT 'key"),
		"kid that is an address":        header("kid", server.URL),
		"kid that is a number":          sign(t, jwt.SigningMethodRS256, k.rsa, claims("rsa"), "kid", 1),
		"kid that is empty":             sign(t, jwt.SigningMethodRS256, k.rsa, claims("rsa"), "kid", ""),
		"crit":                          sign(t, jwt.SigningMethodRS256, k.rsa, claims("rsa"), "crit", []string{"x"}, "x", 1),
		"crit of what we know":          sign(t, jwt.SigningMethodRS256, k.rsa, claims("rsa"), "crit", []string{"exp"}),
		"crit empty":                    sign(t, jwt.SigningMethodRS256, k.rsa, claims("rsa"), "crit", []string{}),
		"b64":                           sign(t, jwt.SigningMethodRS256, k.rsa, claims("rsa"), "b64", false, "crit", []string{"b64"}),
		"no signature":                  part[0] + "." + part[1] + ".",
		"zero signature":                part[0] + "." + part[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 256)),
		"flipped signature":             part[0] + "." + part[1] + "." + base64.RawURLEncoding.EncodeToString(flipped),
		"cut signature":                 part[0] + "." + part[1] + "." + part[2][:100],
		"another's signature":           sign(t, jwt.SigningMethodRS256, k.another, claims("rsa")),
		"other claims":                  part[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(text(claims("rsa", "sub", "root")))) + "." + part[2],
		"two parts":                     part[0] + "." + part[1],
		"four parts":                    good + ".x",
		"dots":                          strings.Repeat(".", 8000),
		"a great many dots":             strings.Repeat(".", 1<<20),
		"too large":                     rs("x", strings.Repeat("x", 9000)),
		"padding":                       good + "=",
		"space":                         " " + good,
		"line feed":                     good + "\n",
		"empty":                         "",
		"no JSON":                       assemble(`x`, `y`, []byte("z")),
		"null":                          assemble(`null`, `null`, nil),
		"claims a list":                 assemble(`{"alg":"HS256"}`, `[]`, []byte("x")),
		"guessable secret":              sign(t, jwt.SigningMethodHS256, []byte("secret"), claims("hmac")),
		"empty secret":                  sign(t, jwt.SigningMethodHS256, []byte(""), claims("hmac")),
		"secret cut":                    sign(t, jwt.SigningMethodHS256, k.secret[:32], claims("hmac")),
		"expired":                       rs("exp", now-1),
		"expires now":                   rs("exp", now),
		"no exp":                        rs("exp", nil),
		"exp a text":                    rs("exp", fmt.Sprint(now+3600)),
		"exp zero":                      rs("exp", 0),
		"exp negative":                  rs("exp", -1),
		"exp a fraction":                rs("exp", json.Number("99999999999.5")),
		"exp with exponent":             rs("exp", json.Number("9e20")),
		"exp beyond all":                rs("exp", json.Number("99999999999999999999")),
		"exp true":                      rs("exp", true),
		"nbf ahead":                     rs("nbf", now+120),
		"nbf a text":                    rs("nbf", "now"),
		"iat a text":                    rs("iat", "now"),
		"no aud":                        rs("aud", nil),
		"wrong aud":                     rs("aud", "elsewhere"),
		"aud a part":                    rs("aud", "tacet-admin"),
		"aud a number":                  rs("aud", 1),
		"aud empty list":                rs("aud", []string{}),
		"aud mixed list":                rs("aud", []any{"tacet", 1}),
		"no iss":                        rs("iss", nil),
		"iss a list":                    rs("iss", []string{"rsa"}),
		"iss with a slash":              rs("iss", "rsa/"),
		"iss another":                   rs("iss", "hmac"),
		"iss an address":                rs("iss", server.URL),
		"no sub":                        rs("sub", nil),
		"sub empty":                     rs("sub", ""),
		"sub a number":                  rs("sub", 1),
		"sub too long":                  rs("sub", strings.Repeat("x", 129)),
		"sub with a line feed":          rs("sub", "kim\nroot"),
		"sub the hub's":                 rs("sub", "tacet-hub"),
		"sub one of ours":               rs("sub", "ann"),
		"sub a device of ours":          rs("sub", "gate-1"),
		"roles a number":                rs("roles", 1),
		"roles mixed":                   rs("roles", []any{"viewer", 1}),
		"too many roles":                rs("roles", make([]string, 33)),
		"tenant a list":                 rs("tenant_id", []string{"acme"}),
		"tenant a path":                 rs("tenant_id", "../acme"),
		"tenant empty":                  rs("tenant_id", ""),
		"areas a number":                rs("areas", 1),
		"device with a bad id":          rs("roles", "device", "sub", "gate 1"),
		"device in another area":        rs("roles", "device", "sub", "gate-1", "area", "south"),
		"device of another tenant":      rs("roles", "device", "sub", "gate-1", "tenant_id", "acme"),
		"a user as a device":            rs("roles", "device", "sub", "ann"),
		"an API token's looks":          "tct_0123456789",
	}
	for name, raw := range cases {
		p, err := a.Bearer(context.Background(), "", raw)
		if area.CodeOf(err) != area.CodeUnauthorized || p.Name != "" {
			t.Errorf("%s: %+v, %v; want unauthorized", name, p, err)
		}
		if err != nil && len(raw) > 20 && strings.Contains(err.Error(), raw[:20]) {
			t.Errorf("%s: the error tells the token", name)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d requests went out", n)
	}
	if _, err := a.Bearer(context.Background(), "", good); err != nil {
		t.Errorf("the good one: %v", err)
	}
	if st := a.Stats(); st.WrongBearers != int64(len(cases)) || st.KeyFetches != 0 {
		t.Errorf("stats %+v; want %d wrong", st, len(cases))
	}
}

func TestDeviceByJWT(t *testing.T) {
	k := newKeys(t)
	cfg := site()
	cfg.Issuers = k.issuers(t)
	a := newAuthority(t, cfg, nil)
	bearer := func(change ...any) auth.Principal {
		p, err := a.Bearer(context.Background(), "", sign(t, jwt.SigningMethodRS256, k.rsa, claims("rsa", change...)))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	own := bearer("sub", "gate-1", "roles", "device")
	if own.Kind != auth.KindDevice || own.Area != "north" || own.Roles != nil || a.Stands(own) != nil {
		t.Errorf("%+v, stands %v", own, a.Stands(own))
	}
	if p := bearer("sub", "gate-77", "roles", []string{"device", "admin"}, "area", "south"); p.Kind != auth.KindDevice || p.Area != "south" || p.May(auth.Admin, "") == nil || a.Stands(p) != nil {
		t.Errorf("%+v, stands %v", p, a.Stands(p))
	}
	next := cfg
	next.Devices = nil
	if err := a.Reload(next); err != nil || a.Stands(own) == nil {
		t.Errorf("%v; a device that is gone from the configuration stands", err)
	}
	kim := bearer()
	got := heard(a)
	next.Issuers = next.Issuers[1:]
	if err := a.Reload(next); err != nil || a.Stands(kim) == nil || !slices.Equal(got(), []string{"/rsa"}) {
		t.Errorf("%v, revoked %v; a subject of an issuer that is gone stands", err, got())
	}
	if r := (auth.Revoked{Issuer: "rsa"}); !r.Hits(kim) || r.Hits(auth.Anonymous()) {
		t.Error("the revocation of an issuer hits the wrong ones")
	}
}

// TestWrongTokensAreSlowed: but a good one passes from the same place, and an
// expired one is no guess.
func TestWrongTokensAreSlowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeys(t)
		cfg := site()
		cfg.Issuers = k.issuers(t)
		a := newAuthority(t, cfg, nil)
		ctx := context.Background()
		old := sign(t, jwt.SigningMethodRS256, k.rsa, claims("rsa", "exp", time.Now().Unix()-5))
		for range 30 {
			if _, err := a.Bearer(ctx, "192.0.2.1", old); area.CodeOf(err) != area.CodeUnauthorized {
				t.Fatalf("an expired one: %v", err)
			}
		}
		rates := 0
		for i := range 30 {
			_, err := a.Bearer(ctx, "192.0.2.1", fmt.Sprint("tct_GUESS", i))
			if area.CodeOf(err) == area.CodeRate {
				rates++
			}
		}
		if rates != 25 {
			t.Errorf("%d of 30 slowed, want 25", rates)
		}
		if _, err := a.Bearer(ctx, "192.0.2.1", sign(t, jwt.SigningMethodRS256, k.rsa, claims("rsa"))); err != nil {
			t.Errorf("a good one: %v", err)
		}
	})
}

// source is where an issuer publishes its keys.
type source struct {
	*httptest.Server
	asked, failing atomic.Int64
	body           atomic.Pointer[string]
}

func newSource(t testing.TB, sets ...map[string]any) *source {
	t.Helper()
	s := &source{}
	s.set(sets...)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.asked.Add(1)
		if s.failing.Load() != 0 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = w.Write([]byte(*s.body.Load()))
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *source) set(sets ...map[string]any) {
	body := text(map[string]any{"keys": sets})
	s.body.Store(&body)
}

func jwkRSA(kid string, k *rsa.PrivateKey, change ...any) map[string]any {
	m := map[string]any{"kty": "RSA", "kid": kid, "use": "sig", "n": base64.RawURLEncoding.EncodeToString(k.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(k.E)).Bytes())}
	for i := 0; i < len(change); i += 2 {
		m[change[i].(string)] = change[i+1]
	}
	return m
}

// watch is a clock that a test turns.
type watch struct{ at atomic.Int64 }

func newWatch() *watch {
	w := &watch{}
	w.at.Store(time.Now().Unix())
	return w
}

func (w *watch) now() time.Time       { return time.Unix(w.at.Load(), 0) }
func (w *watch) turn(d time.Duration) { w.at.Add(int64(d / time.Second)) }

func TestJWKS(t *testing.T) {
	k, clock := newKeys(t), newWatch()
	one, two := newSource(t, jwkRSA("1", k.rsa)), newSource(t, jwkRSA("1", k.another))
	cfg := site()
	cfg.Issuers = []auth.Issuer{{Issuer: "one", JWKSURL: one.URL}, {Issuer: "two", JWKSURL: two.URL}}
	a, err := auth.New(cfg, nil, clock.now, silent)
	if err != nil {
		t.Fatal(err)
	}
	for step, c := range []struct {
		name   string
		before func()
		issuer string
		key    *rsa.PrivateKey
		kid    any
		ok     bool
		asked  int64 // of source one, in all
	}{
		{"the first of all", nil, "one", k.rsa, "1", true, 1},
		{"again", nil, "one", k.rsa, "1", true, 1},
		{"the same kid of another issuer", nil, "one", k.another, "1", false, 1},
		{"which is good for that one", nil, "two", k.another, "1", true, 1},
		{"and the other way round", nil, "two", k.rsa, "1", false, 1},
		{"without a kid", nil, "one", k.rsa, nil, true, 1},
		{"an unknown kid so soon", nil, "one", k.rsa, "2", false, 1},
		{"an unknown kid later", func() { clock.turn(11 * time.Second) }, "one", k.rsa, "2", false, 2},
		{"and again", nil, "one", k.rsa, "3", false, 2},
		{"a new key", func() {
			one.set(jwkRSA("1", k.rsa), jwkRSA("2", k.another), jwkRSA("enc", k.rsa, "use", "enc"), jwkRSA("512", k.rsa, "alg", "RS512"), map[string]any{"kty": "oct", "k": "AAAA"})
			clock.turn(11 * time.Second)
		}, "one", k.another, "2", true, 3},
		{"the old key", nil, "one", k.rsa, "1", true, 3},
		{"without a kid, now that there are two", nil, "one", k.rsa, nil, false, 3},
		{"a key that is not for signatures", nil, "one", k.rsa, "enc", false, 3},
		{"a key of another algorithm", nil, "one", k.rsa, "512", false, 3},
		{"the source is away", func() { one.failing.Store(1); clock.turn(11 * time.Minute) }, "one", k.rsa, "1", true, 4},
		{"no second try so soon", nil, "one", k.rsa, "1", true, 4},
		{"a second try", func() { clock.turn(2 * time.Second) }, "one", k.rsa, "1", true, 5},
		{"the third waits longer", func() { clock.turn(time.Second) }, "one", k.rsa, "1", true, 5},
		{"an hour later still", func() { clock.turn(30 * time.Minute) }, "one", k.rsa, "1", true, 6},
		{"the source is back without the key", func() { one.failing.Store(0); one.set(jwkRSA("2", k.another)); clock.turn(10 * time.Minute) }, "one", k.rsa, "1", false, 7},
		{"a set that cannot be read", func() { bad := "{"; one.body.Store(&bad); clock.turn(11 * time.Minute) }, "one", k.another, "2", true, 8},
		{"a set that is too large", func() {
			bad := strings.Repeat(" ", 300<<10) + "{}"
			one.body.Store(&bad)
			clock.turn(11 * time.Minute)
		}, "one", k.another, "2", true, 9},
		{"two keys of one id", func() { one.set(jwkRSA("1", k.rsa), jwkRSA("1", k.another)); clock.turn(11 * time.Minute) }, "one", k.rsa, "1", false, 10},
	} {
		if c.before != nil {
			c.before()
		}
		var header []any
		if c.kid != nil {
			header = []any{"kid", c.kid}
		}
		raw := sign(t, jwt.SigningMethodRS256, c.key, claims(c.issuer, "exp", clock.now().Add(time.Hour).Unix(), "iat", nil), header...)
		if _, err := a.Bearer(context.Background(), "", raw); (err == nil) != c.ok {
			t.Errorf("%d, %s: %v, want accepted: %t", step, c.name, err, c.ok)
		}
		if n := one.asked.Load(); n != c.asked {
			t.Fatalf("%d, %s: asked %d times, want %d", step, c.name, n, c.asked)
		}
	}
}

// TestJWKSThatNeverAnswered: no key, no entry, and no hurry.
func TestJWKSThatNeverAnswered(t *testing.T) {
	k, clock := newKeys(t), newWatch()
	s := newSource(t)
	s.failing.Store(1)
	cfg := site()
	cfg.Issuers = []auth.Issuer{{Issuer: "one", JWKSURL: s.URL}}
	a, err := auth.New(cfg, nil, clock.now, silent)
	if err != nil {
		t.Fatal(err)
	}
	raw := sign(t, jwt.SigningMethodRS256, k.rsa, claims("one"), "kid", "1")
	for range 5 {
		if _, err := a.Bearer(context.Background(), "", raw); area.CodeOf(err) != area.CodeUnauthorized {
			t.Errorf("%v", err)
		}
	}
	if n := s.asked.Load(); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
	s.failing.Store(0)
	s.set(jwkRSA("1", k.rsa))
	clock.turn(2 * time.Second)
	if _, err := a.Bearer(context.Background(), "", raw); err != nil {
		t.Errorf("the source is back: %v", err)
	}
}

// TestJWKSIsNotRedirected: the configured address alone is asked.
func TestJWKSIsNotRedirected(t *testing.T) {
	k := newKeys(t)
	real := newSource(t, jwkRSA("1", k.rsa))
	moved := httptest.NewServer(http.RedirectHandler(real.URL, http.StatusFound))
	defer moved.Close()
	cfg := site()
	cfg.Issuers = []auth.Issuer{{Issuer: "one", JWKSURL: moved.URL}}
	a := newAuthority(t, cfg, nil)
	if _, err := a.Bearer(context.Background(), "", sign(t, jwt.SigningMethodRS256, k.rsa, claims("one"), "kid", "1")); err == nil || real.asked.Load() != 0 {
		t.Errorf("%v, asked %d times", err, real.asked.Load())
	}
}

// TestManyAskForKeysAtOnce: one fetches, all have the answer.
func TestManyAskForKeysAtOnce(t *testing.T) {
	k := newKeys(t)
	s := newSource(t, jwkRSA("1", k.rsa))
	cfg := site()
	cfg.Issuers = []auth.Issuer{{Issuer: "one", JWKSURL: s.URL}}
	a := newAuthority(t, cfg, nil)
	raw := sign(t, jwt.SigningMethodRS256, k.rsa, claims("one"), "kid", "1")
	errs := make(chan error, 50)
	for range cap(errs) {
		go func() {
			_, err := a.Bearer(context.Background(), "", raw)
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if n := s.asked.Load(); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}

// TestJWKSKinds: keys of every kind that is taken, and none of those that are
// not.
func TestJWKSKinds(t *testing.T) {
	k := newKeys(t)
	point, _ := k.ec.PublicKey.Bytes()
	e := base64.RawURLEncoding
	x, y := e.EncodeToString(point[1:33]), e.EncodeToString(point[33:])
	small, _ := rsa.GenerateKey(rand.Reader, 1024)
	for name, c := range map[string]struct {
		jwk    map[string]any
		method jwt.SigningMethod
		key    any
		ok     bool
	}{
		"EC":               {map[string]any{"kty": "EC", "crv": "P-256", "x": x, "y": y}, jwt.SigningMethodES256, k.ec, true},
		"EC off the curve": {map[string]any{"kty": "EC", "crv": "P-256", "x": y, "y": x}, jwt.SigningMethodES256, k.ec, false},
		"EC of no curve":   {map[string]any{"kty": "EC", "crv": "secp256k1", "x": x, "y": y}, jwt.SigningMethodES256, k.ec, false},
		"Ed25519":          {map[string]any{"kty": "OKP", "crv": "Ed25519", "x": e.EncodeToString(k.ed.Public().(ed25519.PublicKey))}, jwt.SigningMethodEdDSA, k.ed, true},
		"X25519":           {map[string]any{"kty": "OKP", "crv": "X25519", "x": e.EncodeToString(k.ed.Public().(ed25519.PublicKey))}, jwt.SigningMethodEdDSA, k.ed, false},
		"RSA of 1024 bits": {jwkRSA("", small), jwt.SigningMethodRS256, small, false},
		"RSA, even":        {jwkRSA("", k.rsa, "e", "Ag"), jwt.SigningMethodRS256, k.rsa, false},
		"a secret":         {map[string]any{"kty": "oct", "k": e.EncodeToString(k.secret)}, jwt.SigningMethodHS256, k.secret, false},
	} {
		s := newSource(t, c.jwk)
		cfg := site()
		cfg.Issuers = []auth.Issuer{{Issuer: "one", JWKSURL: s.URL, Algorithms: []string{"RS256", "ES256", "EdDSA"}}}
		a := newAuthority(t, cfg, nil)
		if _, err := a.Bearer(context.Background(), "", sign(t, c.method, c.key, claims("one"))); (err == nil) != c.ok {
			t.Errorf("%s: %v, want accepted: %t", name, err, c.ok)
		}
	}
}
