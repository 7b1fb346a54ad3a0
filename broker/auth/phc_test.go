package auth

import (
	"context"
	"log/slog"
	"runtime"
	"strings"
	"testing"
)

func TestHashPassword(t *testing.T) {
	one, err := HashPassword([]byte("correct horse"))
	if err != nil {
		t.Fatal(err)
	}
	two, _ := HashPassword([]byte("correct horse"))
	if one == two || !strings.HasPrefix(one, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("%s and %s; want two salts", one, two)
	}
	h, err := parsePHC(one)
	if err != nil || !h.verify([]byte("correct horse")) || h.verify([]byte("correct horsf")) || h.verify(nil) {
		t.Errorf("%v; the hash does not tell passwords apart", err)
	}
	for _, bad := range []string{"", strings.Repeat("x", maxPassword+1)} {
		if _, err := HashPassword([]byte(bad)); err == nil {
			t.Errorf("%d bytes are taken", len(bad))
		}
	}
}

// TestKnownHash is the answer of the reference implementation:
// echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1.
func TestKnownHash(t *testing.T) {
	h, err := parsePHC("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	if err != nil || !h.verify([]byte("password")) {
		t.Errorf("%v; it does not verify", err)
	}
}

func TestParsePHC(t *testing.T) {
	const good = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$+RsCrdHrAKGEJIDLM0Esow"
	if h, err := parsePHC(good); err != nil || h.String() != good {
		t.Errorf("%s, %v", h, err)
	}
	for name, bad := range map[string]string{
		"empty": "", "plain": "secret", "bcrypt": "$2y$10$abcdefghijklmnopqrstuv", "argon2i": strings.Replace(good, "argon2id", "argon2i", 1),
		"old version": strings.Replace(good, "v=19", "v=16", 1), "no version": strings.Replace(good, "$v=19", "", 1),
		"too much memory": strings.Replace(good, "m=8", "m=262145", 1), "no memory": strings.Replace(good, "m=8", "m=0", 1),
		"less than lanes need": strings.Replace(good, "p=1", "p=2", 1), "too many passes": strings.Replace(good, "t=1", "t=17", 1),
		"lanes beyond a byte": strings.Replace(good, "p=1", "p=257", 1), "negative": strings.Replace(good, "t=1", "t=-1", 1),
		"sign": strings.Replace(good, "t=1", "t=+1", 1), "zero in front": strings.Replace(good, "m=8", "m=08", 1), "more": good + "$x",
		"parameter more": strings.Replace(good, "p=1", "p=1,keyid=x", 1), "padding": good + "==", "short salt": strings.Replace(good, "c2FsdHNhbHQ", "c2Fs", 1),
		"short key": "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAA", "bits that count for nothing": good[:len(good)-1] + "x", "line feed": good + "\n",
	} {
		if _, err := parsePHC(bad); err == nil {
			t.Errorf("%s: %q is taken", name, bad)
		} else if len(bad) > 60 && strings.Contains(err.Error(), bad[40:]) {
			t.Errorf("%s: the error shows the hash: %v", name, err)
		}
	}
}

// FuzzPHC: what is read is written the same, and costs what it may.
func FuzzPHC(f *testing.F) {
	f.Add("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$+RsCrdHrAKGEJIDLM0Esow")
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$$")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parsePHC(text)
		if err != nil {
			return
		}
		if h.String() != text || h.memory > 256<<10 || h.passes > 16 || h.passes == 0 || h.lanes == 0 || h.memory < 8*uint32(h.lanes) {
			t.Errorf("%q is read as %s", text, h)
		}
	})
}

// TestDecoyCostsTheSame: an unknown name must not be told by the time.
func TestDecoyCostsTheSame(t *testing.T) {
	cfg := Config{Users: []User{{Name: "ann", PasswordHash: "$argon2id$v=19$m=64,t=3,p=2$c2FsdHNhbHQ$+RsCrdHrAKGEJIDLM0Esow"}}}
	a, err := New(cfg, nil, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if d := a.decoyHash(); d.memory != 64 || d.passes != 3 || d.lanes != 2 {
		t.Errorf("the decoy costs m=%d,t=%d,p=%d", d.memory, d.passes, d.lanes)
	}
	for range 2 * maxHashing { // a turn is given back
		if _, err := a.Password(context.Background(), "", "nobody", "x"); err == nil {
			t.Error("let in")
		}
	}
}

// TestHashingIsBounded: who is not served in his time gets an answer.
func TestHashingIsBounded(t *testing.T) {
	h := newHashing()
	for range maxHashing {
		if _, err := h.enter(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	errs := make(chan error, maxWaiting)
	for range maxWaiting {
		go func() {
			_, err := h.enter(ctx)
			errs <- err
		}()
	}
	for h.waiting.Load() < maxWaiting {
		runtime.Gosched() // they are on their way
	}
	if _, err := h.enter(context.Background()); err == nil {
		t.Error("one more waits")
	} else if _, ok := RetryAfter(err); !ok {
		t.Errorf("%v does not say how long", err)
	}
	cancel()
	for range maxWaiting {
		if err := <-errs; err == nil {
			t.Error("a turn that was not free")
		}
	}
}

// FuzzBearer: nothing that an attacker can write is taken, nor makes a panic.
func FuzzBearer(f *testing.F) {
	a, err := New(Config{Issuers: []Issuer{{Issuer: "x", Secret: []byte(strings.Repeat("s", 32))}}}, nil, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"", "..", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "tct_", "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJ4In0.AAAA", "eyJhbGciOiJIUzI1NiIsImNyaXQiOlsieCJdfQ.eyJpc3MiOiJ4In0.AAAA"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if p, err := a.Bearer(context.Background(), "", raw); err == nil {
			t.Errorf("%q is %+v", raw, p)
		}
	})
}

// FuzzJWKS: a source may send anything.
func FuzzJWKS(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"EC","crv":"P-256","x":"","y":""}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		keys, err := parseJWKS(body)
		for _, k := range keys {
			if err != nil || familyOf(k.key) == 0 || familyOf(k.key) == familyHMAC {
				t.Errorf("%T out of %q", k.key, body)
			}
		}
	})
}

// FuzzConfig: a configuration that is valid makes an Authority.
func FuzzConfig(f *testing.F) {
	f.Add("ann", "default", "north", "a/#", "x")
	f.Add("gate-1", "", "*", "!a/+", "https://x")
	f.Fuzz(func(t *testing.T, name, tenant, where, rule, url string) {
		cfg := Config{
			Users:   []User{{Name: name, Tenant: tenant, Areas: []string{where}, Roles: []string{"viewer"}}},
			Devices: []Device{{Name: name + "-d", Tenant: tenant, Publish: []string{rule}, Subscribe: []string{rule}}},
			Issuers: []Issuer{{Issuer: name, JWKSURL: url}},
		}
		a, err := New(cfg, nil, nil, slog.New(slog.DiscardHandler))
		if (err == nil) != (cfg.Validate() == nil) {
			t.Errorf("New says %v, Validate %v", err, cfg.Validate())
		}
		if err == nil && a.Open() {
			t.Error("it is open")
		}
	})
}
