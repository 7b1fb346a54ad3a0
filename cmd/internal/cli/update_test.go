package cli

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/firmware/update"
)

// A key, a signature, a release that the hub serves; each step says what it
// needs where it is missing.
func TestUpdateIsPublished(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	tacet := func(line string) (int, string, string) {
		root := &cobra.Command{Use: "tacet"}
		Add(root, Env{Getenv: func(string) string { return "" }, Environ: func() []string { return nil }})
		var out, errs bytes.Buffer
		code := Execute(t.Context(), root, strings.Fields(line), &out, &errs)
		return code, strings.TrimSpace(out.String()), errs.String()
	}
	self, err := os.ReadFile(os.Args[0]) // a program that says what it is
	if err == nil {
		err = os.WriteFile(at("device"), self, 0o755)
	}
	if err == nil {
		err = os.WriteFile(at("script"), []byte("#!/bin/sh\n"), 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	code, public, _ := tacet("update key " + at("key"))
	if code != ExitOK {
		t.Fatal("no key")
	}
	if info, err := os.Stat(at("key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the private key: %v, %v", info, err)
	}
	_, other, _ := tacet("update key " + at("other"))
	device := " " + at("device")
	for _, c := range []struct {
		line string
		code int
		want string // in what it prints
	}{
		{"update key " + at("key"), ExitUsage, "never overwritten"},
		{"update sign" + device, ExitUsage, "--key"},
		{"update sign" + device + " --key " + at("none"), ExitUsage, "none"},
		{"update sign" + device + " --key " + at("script"), ExitUsage, "not a private key"},
		{"update sign " + at("none") + " --key " + at("key"), ExitUsage, "none"},
		{"update sign " + at("script") + " --key " + at("key"), ExitUsage, "--version and --arch"},
		{"update sign" + device + " --key " + at("key") + " --version 1.4", ExitUsage, "semantic"},
		{"update publish" + device + " --data " + at("data"), ExitUsage, "tacet update sign"},
		{"update sign" + device + " --key " + at("key") + " --version v1.4.0 --min-version v1.2.0", ExitOK, "v1.4.0 " + update.Arch()},
		{"update publish" + device + " --data " + at("data") + " --public-key " + other, ExitRefused, "signature"},
		{"update publish" + device + " --data " + at("data") + " --public-key x", ExitUsage, "--public-key"},
		{"update publish" + device + " --data " + at("data") + " --public-key " + public, ExitOK, at("data/updates")},
		{"update list --data " + at("data"), ExitOK, "v1.4.0"},
		{"update list --dir " + at("nowhere"), ExitOK, "ARCH"},
	} {
		code, out, errs := tacet(c.line)
		if code != c.code || !strings.Contains(out+errs, c.want) {
			t.Errorf("%s: exit code %d, %q %q, want %d, %q", c.line, code, out, errs, c.code, c.want)
		}
	}
	keys, err := update.ParseKeys([]string{public})
	if err != nil {
		t.Fatal(err)
	}
	shelf := update.NewShelf(at("data/updates"))
	r, _, err := shelf.Release(update.Arch())
	if err != nil {
		t.Fatal(err)
	}
	m, err := keys.Verify(r)
	if err != nil || m.Version != "v1.4.0" || m.MinVersion != "v1.2.0" {
		t.Errorf("%+v, %v", m, err)
	}
	f, err := shelf.Program(m)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b, err := io.ReadAll(f); err != nil || !bytes.Equal(b, self) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	// A program that was changed after it was signed is not published.
	if err := os.WriteFile(at("device"), append(self, 'x'), 0o755); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := tacet("update publish" + device + " --data " + at("data")); code != ExitFailed || !strings.Contains(errs, "not what was signed") {
		t.Errorf("a changed program: %d %s", code, errs)
	}
}
