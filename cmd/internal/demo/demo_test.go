package demo

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
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

// TestDemoNeedsNothingButGo: no program is found, no engine, no player.
func TestDemoNeedsNothingButGo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	cfg := Site()
	cfg.Data = t.TempDir()
	cfg.HTTP.Addr, cfg.HTTP.AdminAddr, cfg.MQTT.Addr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	said, out := io.Pipe()
	ran := make(chan error, 1)
	go func() {
		err := Run(ctx, cfg, Options{}, slog.New(slog.DiscardHandler), out)
		_ = out.CloseWithError(io.EOF)
		ran <- err
	}()
	line, err := bufio.NewReader(said).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "ready ") {
		t.Errorf("it says %q: %v", line, err)
	}
	go func() { _, _ = io.Copy(io.Discard, said) }() // ends with the pipe
	cancel()
	if err := <-ran; err != nil {
		t.Errorf("it ended with %v", err)
	}
}
