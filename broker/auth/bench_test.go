package auth_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tacet-hub/tacet/broker/auth"
)

// BenchmarkSignIn is what letting one client in costs: a configured password of
// the usual cost for the first time and again, an enrolled device's secret, an
// API token, and JWTs.
func BenchmarkSignIn(b *testing.B) {
	hash, err := auth.HashPassword([]byte("secret"))
	if err != nil {
		b.Fatal(err)
	}
	k := newKeys(b)
	cfg := auth.Config{Issuers: k.issuers(b)}
	for i := range 1000 {
		cfg.Devices = append(cfg.Devices, auth.Device{Name: fmt.Sprint("gate-", i), PasswordHash: hash})
	}
	a, err := auth.New(cfg, nil, nil, silent)
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	code, err := a.Enrol(ctx, auth.Enrolment{Device: "enrolled"})
	if err != nil {
		b.Fatal(err)
	}
	own, _ := a.Redeem(ctx, "", code.Text)
	token, _ := a.CreateToken(ctx, auth.Token{Name: "ci", Roles: []string{"viewer"}})
	rsa, hmac := sign(b, jwt.SigningMethodRS256, k.rsa, claims("rsa")), sign(b, jwt.SigningMethodHS256, k.secret, claims("hmac"))
	password := func(name, password string) func(int) error {
		return func(int) error { _, err := a.Password(ctx, "192.0.2.1", name, password); return err }
	}
	bearer := func(raw string) func(int) error {
		return func(int) error { _, err := a.Bearer(ctx, "192.0.2.1", raw); return err }
	}
	for _, c := range []struct {
		name string
		in   func(int) error
	}{
		{"password, first time", func(i int) error { return password(fmt.Sprint("gate-", i%1000), "secret")(i) }}, // 1,000 of them at most
		{"password, remembered", password("gate-0", "secret")},
		{"enrolled secret", password("enrolled", own.Secret)},
		{"API token", bearer(token)},
		{"JWT, RS256", bearer(rsa)},
		{"JWT, HS256", bearer(hmac)},
	} {
		b.Run(c.name, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if err := c.in(i); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
