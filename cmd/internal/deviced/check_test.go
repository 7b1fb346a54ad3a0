package deviced

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// A check with a wrong password says that it is wrong, tries it once, and says so
// when it was tried too often.
func TestCheckOfAWrongPassword(t *testing.T) {
	silent := slog.New(slog.DiscardHandler)
	who, err := auth.New(auth.Config{Users: []auth.User{{Name: "ann"}}}, nil, nil, silent)
	if err != nil {
		t.Fatal(err)
	}
	b, err := broker.New(broker.Config{Addr: "127.0.0.1:0", Auth: who}, silent)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = b.Run(ctx) })
	t.Cleanup(func() { cancel(); work.Wait() })
	url := "mqtt://" + b.Addr().String()
	cfg := Default()
	cfg.Device, cfg.Username, cfg.PasswordFile = "gate-1", "gate-1", filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(cfg.PasswordFile, []byte("wrong"), 0o600); err != nil {
		t.Fatal(err)
	}
	said := ""
	for n := 1; n < 20; n++ {
		_, err := checkHub(t.Context(), cfg, url)
		if errors.Is(err, uplink.ErrNotLetIn) {
			if said = err.Error(); n == 1 || !strings.Contains(said, "tried too often") {
				t.Errorf("check %d: %s", n, said)
			}
			break
		}
		if !errors.Is(err, uplink.ErrCredential) || !strings.Contains(err.Error(), url+": ") {
			t.Errorf("check %d: %v", n, err)
		}
		if wrong := who.Stats().WrongPasswords; wrong != int64(n) {
			t.Errorf("%d checks are %d attempts", n, wrong)
		}
	}
	if said == "" {
		t.Error("the hub never makes it wait")
	}
}
