package hubd

import (
	"context"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// TestCredentialsSurviveARestart: what a device and a program were given is
// good after the hub was stopped and started, and a code that was used is not.
func TestCredentialsSurviveARestart(t *testing.T) {
	const hash = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$+RsCrdHrAKGEJIDLM0Esow"
	var dir string
	run := func() (*Hub, func() error) {
		h, _, stop := started(t, func(c *conf.Config) {
			if dir == "" {
				dir = c.Data
			}
			c.Data = dir
			c.Auth.Users = []conf.User{{Name: "ann", PasswordHash: hash, Roles: []string{"operator"}, Tenant: "default", Areas: []string{"*"}}}
		})
		return h, stop
	}
	ctx := context.Background()
	h, stop := run()
	code, err := h.auth.Enrol(ctx, auth.Enrolment{Device: "gate-12", Area: "north"})
	if err != nil {
		t.Fatal(err)
	}
	open, err := h.auth.Enrol(ctx, auth.Enrolment{Device: "gate-13"})
	if err != nil {
		t.Fatal(err)
	}
	made, err := h.auth.Redeem(ctx, "", code.Text)
	if err != nil {
		t.Fatal(err)
	}
	token, err := h.auth.CreateToken(ctx, auth.Token{Name: "ci", Roles: []string{"viewer"}, Areas: []string{"*"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	h, stop = run()
	if p, err := h.auth.Password(ctx, "", "gate-12", made.Secret); err != nil || p.Area != "north" {
		t.Errorf("the device: %+v, %v", p, err)
	}
	if p, err := h.auth.Bearer(ctx, "", token); err != nil || p.Name != "ci" {
		t.Errorf("the token: %+v, %v", p, err)
	}
	if _, err := h.auth.Redeem(ctx, "", code.Text); area.CodeOf(err) != area.CodeNotFound {
		t.Errorf("the used code: %v", err)
	}
	if c, err := h.auth.Redeem(ctx, "", open.Text); err != nil || c.Device != "gate-13" {
		t.Errorf("the open code: %+v, %v", c, err)
	}
	if err := h.auth.Revoke(ctx, "", "gate-12"); err != nil {
		t.Error(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	h, stop = run()
	if _, err := h.auth.Password(ctx, "", "gate-12", made.Secret); area.CodeOf(err) != area.CodeUnauthorized {
		t.Errorf("the revoked device: %v", err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}
