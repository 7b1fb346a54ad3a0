package hubd

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// forge makes tokens, good and bad.
type forge struct {
	key    *rsa.PrivateKey
	public []byte // of key, PEM
	other  *rsa.PrivateKey
	secret []byte // of the issuer that has one
}

func newForge(t *testing.T) *forge {
	t.Helper()
	f := &forge{secret: []byte(strings.Repeat("k", 32))}
	for _, into := range []**rsa.PrivateKey{&f.key, &f.other} {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		*into = key
	}
	der, err := x509.MarshalPKIXPublicKey(&f.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	f.public = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return f
}

// files writes the keys of two issuers, "rsa" and "mac", for a configuration.
func (f *forge) files(t *testing.T) []conf.JWT {
	t.Helper()
	write := func(name string, b []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var rs, hs conf.JWT
	rs.SetDefaults()
	hs.SetDefaults()
	rs.Issuer, rs.PublicKeyFile, rs.Algorithms = "rsa", write("public.pem", f.public), []string{"RS256"}
	hs.Issuer, hs.HMACSecretFile, hs.Algorithms = "mac", write("secret", f.secret), []string{"HS256"}
	return []conf.JWT{rs, hs}
}

type object = map[string]any

// claims are those of a good token, with others over them; nil takes one out.
func claims(over object) object {
	c := object{"iss": "rsa", "aud": "tacet", "sub": "ivy", "roles": []string{"operator"}, "exp": time.Now().Add(time.Hour).Unix()}
	maps.Copy(c, over)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

func segment(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// rs signs with an RSA key; more are further fields of the header.
func (f *forge) rs(key *rsa.PrivateKey, c object, more object) string {
	head := object{"alg": "RS256", "typ": "JWT"}
	maps.Copy(head, more)
	text := segment(head) + "." + segment(c)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

// hs signs with a secret.
func hs(secret []byte, alg string, c object) string {
	text := segment(object{"alg": alg, "typ": "JWT"}) + "." + segment(c)
	mac := hmac.New(sha256.New, secret)
	if alg == "HS512" {
		mac = hmac.New(sha512.New, secret)
	}
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// hostile is the table of RELIABILITY: what is not a token of ours, by name.
func (f *forge) hostile(jku string) map[string]string {
	good := f.rs(f.key, claims(nil), nil)
	head, rest, _ := strings.Cut(good, ".")
	body, sig, _ := strings.Cut(rest, ".")
	der, _ := pem.Decode(f.public)
	jwk := object{"kty": "RSA", "n": base64.RawURLEncoding.EncodeToString(f.other.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(f.other.E)).Bytes())}
	mac := object{"iss": "mac"}
	all := map[string]string{
		"nothing":                   "",
		"not a token":               "x",
		"two parts":                 head + "." + body,
		"four parts":                good + ".x",
		"empty signature":           head + "." + body + ".",
		"cut signature":             good[:len(good)-8],
		"zero signature":            head + "." + body + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 256)),
		"flipped signature":         head + "." + body + "." + flipped(sig),
		"claims of another":         head + "." + segment(claims(object{"sub": "root", "roles": "admin"})) + "." + sig,
		"signed by another":         f.rs(f.other, claims(nil), nil),
		"secret of the public key":  hs(f.public, "HS256", claims(nil)),
		"the same, trimmed":         hs([]byte(strings.TrimSpace(string(f.public))), "HS256", claims(nil)),
		"the same, as DER":          hs(der.Bytes, "HS256", claims(nil)),
		"embedded key":              f.rs(f.other, claims(nil), object{"jwk": jwk}),
		"key elsewhere":             f.rs(f.other, claims(nil), object{"jku": jku, "kid": "1"}),
		"certificate elsewhere":     f.rs(f.other, claims(nil), object{"x5u": jku}),
		"kid that is a path":        f.rs(f.other, claims(nil), object{"kid": "../../../../dev/null"}),
		"crit":                      f.rs(f.key, claims(nil), object{"crit": []string{"exp"}}),
		"crit of what nobody knows": f.rs(f.key, claims(nil), object{"crit": []string{"x"}, "x": 1}),
		"the other issuer's key":    f.rs(f.key, claims(mac), nil),
		"the other issuer's secret": hs(f.secret, "HS256", claims(nil)),
		"another algorithm":         hs(f.secret, "HS512", claims(mac)),
		"expired":                   f.rs(f.key, claims(object{"exp": time.Now().Add(-time.Minute).Unix()}), nil),
		"no exp":                    f.rs(f.key, claims(object{"exp": nil}), nil),
		"exp as text":               f.rs(f.key, claims(object{"exp": fmt.Sprint(time.Now().Add(time.Hour).Unix())}), nil),
		"exp of 0":                  f.rs(f.key, claims(object{"exp": 0}), nil),
		"not yet":                   f.rs(f.key, claims(object{"nbf": time.Now().Add(time.Hour).Unix()}), nil),
		"another audience":          f.rs(f.key, claims(object{"aud": "other"}), nil),
		"no audience":               f.rs(f.key, claims(object{"aud": nil}), nil),
		"another issuer":            f.rs(f.key, claims(object{"iss": "evil"}), nil),
		"no issuer":                 f.rs(f.key, claims(object{"iss": nil}), nil),
		"no subject":                f.rs(f.key, claims(object{"sub": nil}), nil),
		"subject that is a number":  f.rs(f.key, claims(object{"sub": 7}), nil),
		"too long":                  f.rs(f.key, claims(object{"pad": strings.Repeat("x", 10<<10)}), nil),
		"token of ours, guessed":    "tct_" + strings.Repeat("A", 32),
		"session, guessed":          "tcs_" + strings.Repeat("A", 26),
	}
	for _, alg := range []string{"none", "None", "NONE", "nOnE", ""} {
		all["alg "+alg] = segment(object{"alg": alg, "typ": "JWT"}) + "." + body + "."
	}
	for _, secret := range []string{"secret", "changeme", "tacet", "password"} {
		all["secret "+secret] = hs([]byte(secret), "HS256", claims(mac))
	}
	return all
}

// flipped is a text with another first letter.
func flipped(s string) string {
	if s[0] == 'A' {
		return "B" + s[1:]
	}
	return "A" + s[1:]
}

// TestHostileTokens: each is refused by REST, and by the hub in header and
// query; none makes the hub ask anywhere, and none is in an answer.
func TestHostileTokens(t *testing.T) {
	f := newForge(t)
	h, _ := manned(t, func(c *conf.Config) { c.Auth.JWT = f.files(t) })
	var asked atomic.Int64
	evil := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer evil.Close()
	n := 0
	from := func() string { // a source of its own for each, else it is made to wait
		n++
		return fmt.Sprintf("X-From: 10.%d.%d.1", n/250, n%250)
	}
	const negotiate = "/hubs/devices/negotiate?negotiateVersion=1"
	for _, good := range []string{f.rs(f.key, claims(nil), nil), hs(f.secret, "HS256", claims(object{"iss": "mac"})), f.rs(f.key, claims(object{"aud": []string{"x", "tacet"}, "nbf": time.Now().Unix()}), object{"kid": "7"})} {
		for _, w := range []*httptest.ResponseRecorder{
			ask(h, "GET", "/api/v1/areas", "", "Authorization: Bearer "+good), ask(h, "POST", negotiate, "", "Authorization: Bearer "+good), ask(h, "POST", negotiate+"&access_token="+good, ""),
		} {
			if w.Code != 200 {
				t.Errorf("a good token: %d %s", w.Code, w.Body)
			}
		}
	}
	for name, token := range f.hostile(evil.URL) {
		for where, w := range map[string]*httptest.ResponseRecorder{
			"REST": ask(h, "GET", "/api/v1/areas", "", "Authorization: Bearer "+token, from()),
			"hub":  ask(h, "POST", negotiate, "", "Authorization: Bearer "+token, from()),
			"URL":  ask(h, "POST", negotiate+"&access_token="+token, "", from()),
		} {
			if w.Code != http.StatusUnauthorized || len(token) > 3 && strings.Contains(w.Body.String(), token) {
				t.Errorf("%s, %s: %d %s", name, where, w.Code, w.Body)
			}
		}
	}
	if asked.Load() > 0 {
		t.Errorf("the hub asked %d times where a token told it to", asked.Load())
	}
}

// TestWrongTokensAreSlowed: who guesses tokens is made to wait; a good token
// passes all the same.
func TestWrongTokensAreSlowed(t *testing.T) {
	f := newForge(t)
	h, _ := manned(t, func(c *conf.Config) { c.Auth.JWT = f.files(t) })
	for i := 0; ; i++ {
		w := ask(h, "GET", "/api/v1/areas", "", fmt.Sprintf("Authorization: Bearer tct_%032d", i), "X-From: 10.9.9.9")
		if w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") != "" {
			break
		}
		if i >= 30 || w.Code != http.StatusUnauthorized {
			t.Fatalf("guess %d: %d %s", i, w.Code, w.Body)
		}
	}
	good := f.rs(f.key, claims(nil), nil)
	for _, source := range []string{"10.9.9.9", "10.9.9.8"} {
		if w := ask(h, "GET", "/api/v1/areas", "", "Authorization: Bearer "+good, "X-From: "+source); w.Code != 200 {
			t.Errorf("a good token from %s: %d %s", source, w.Code, w.Body)
		}
	}
}

// TestNegotiateTellsHowLongATokenLives: a client knows when to refresh, and can.
func TestNegotiateTellsHowLongATokenLives(t *testing.T) {
	f := newForge(t)
	h, _ := manned(t, func(c *conf.Config) { c.Auth.JWT = f.files(t) })
	w := ask(h, "POST", "/hubs/devices/negotiate?negotiateVersion=1", "", "Authorization: Bearer "+f.rs(f.key, claims(nil), nil))
	var offer struct {
		Lifetime int `json:"tokenLifetimeSeconds"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &offer); err != nil || offer.Lifetime <= 0 || offer.Lifetime > 3600 {
		t.Errorf("a token of an hour: %s", w.Body)
	}
}
