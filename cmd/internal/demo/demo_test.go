package demo

import (
	"errors"
	"io"
	"log/slog"
	"testing"

	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// The simulated devices have no credentials, so a hub that asks for them would
// end with an error of theirs.
func TestGuardedHubIsRefused(t *testing.T) {
	hash, err := auth.HashPassword([]byte("a long password"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := Site()
	cfg.Data = t.TempDir()
	cfg.Auth.Users = []conf.User{{Name: "ann", PasswordHash: hash, Roles: []string{auth.RoleAdmin}, Tenant: auth.DefaultTenant, Areas: []string{auth.AllAreas}}}
	if err := Run(t.Context(), cfg, Options{}, slog.New(slog.DiscardHandler), io.Discard); !errors.Is(err, errGuarded) {
		t.Errorf("error %v, want %v", err, errGuarded)
	}
}
