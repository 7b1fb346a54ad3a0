package cli

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/firmware/update"
)

// programs builds programs that do nothing, as make build would build them, for a
// processor that is not that of this machine, and answers their directory.
func programs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	main := "package main\n\nvar release string\n\nfunc main() { println(release) }\n"
	for name, text := range map[string]string{"go.mod": "module example.org/x\n\ngo 1.25\n", "cmd/tacet-device/main.go": main, "cmd/tacet-leader/main.go": main, "cmd/tacet/main.go": main} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for out, flags := range map[string][2]string{
		"device": {"tacet-device", "v1.4.0"}, "devel": {"tacet-device", ""}, "hub": {"tacet", "v1.4.0"}, "odd": {"tacet-device", "v1.4.0.1"},
		"leads": {"tacet-leader", "v1.4.0"}, "old": {"tacet-leader", "v1.3.0"},
	} {
		stamp := ""
		if flags[1] != "" {
			stamp = " -X main.release=" + "tacet-release:" + flags[1] + ":"
		}
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w"+stamp, "-o", filepath.Join(dir, out), "./cmd/"+flags[0])
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+otherArch, "CGO_ENABLED=0", "GOWORK=off")
		if b, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
	}
	return dir
}

// otherArch is not that of this machine: no program of it can be run here.
var otherArch = map[bool]string{true: "amd64", false: "arm64"}[runtime.GOARCH == "arm64"]

// A key, a signature, a release that the hub serves; each step says what it
// needs where it is missing.
func TestUpdateIsPublished(t *testing.T) {
	dir := programs(t)
	arch := "linux-" + otherArch
	at := func(name string) string { return filepath.Join(dir, name) }
	tacet := func(line string) (int, string, string) {
		root := &cobra.Command{Use: "tacet"}
		Add(root, Env{Getenv: func(string) string { return "" }, Environ: func() []string { return nil }})
		var out, errs bytes.Buffer
		code := Execute(t.Context(), root, strings.Fields(line), &out, &errs)
		return code, strings.TrimSpace(out.String()), errs.String()
	}
	self, err := os.ReadFile(at("device"))
	if err == nil {
		err = os.WriteFile(at("script"), []byte("#!/bin/sh\n"), 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Mkdir(at("data"), 0o700), os.Mkdir(at("empty"), 0o700), os.WriteFile(at("data/tacet.db"), nil, 0o600)); err != nil {
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
		{"update sign " + at("script") + " --key " + at("key"), ExitUsage, "is not tacet-device"},
		{"update sign " + at("script") + " --version v1.4.0 --arch " + arch + " --key " + at("key"), ExitUsage, "is not tacet-device"},
		{"update sign " + at("hub") + " --key " + at("key"), ExitUsage, "is not tacet-device but example.org/x/cmd/tacet\n"},
		{"update sign " + at("devel") + " --key " + at("key"), ExitUsage, "make build VERSION="},
		{"update sign " + at("devel") + " --version v1.4.0 --key " + at("key"), ExitUsage, "make build VERSION="},
		{"update sign " + at("odd") + " --key " + at("key"), ExitUsage, "make build VERSION="},
		{"update sign" + device + " --key " + at("key") + " --version v1.5.0", ExitUsage, "says that it is v1.4.0"},
		{"update sign" + device + " --key " + at("key") + " --arch linux-riscv64", ExitUsage, "says that it is " + arch},
		{"update publish" + device + " --data " + at("data"), ExitUsage, "tacet update sign"},
		{"update sign" + device + " --key " + at("key") + " --min-version v1.2.0", ExitOK, "v1.4.0 " + arch},
		{"update sign" + device + " --key " + at("key"), ExitOK, "without a tacet-leader"},
		{"update sign" + device + " --key " + at("key") + " --leader " + at("none"), ExitUsage, "--leader"},
		{"update sign" + device + " --key " + at("key") + " --leader " + at("hub"), ExitUsage, "is not tacet-leader"},
		{"update sign" + device + " --key " + at("key") + " --leader " + at("old"), ExitUsage, "build both at once"},
		{"update sign" + device + " --key " + at("key") + " --leader " + at("leads"), ExitOK, "with tacet-leader"},
		{"update sign" + device + " --key " + at("key") + " --min-version v1.2.0", ExitOK, "with the tacet-leader that it carries"},
		{"update publish" + device + " --data " + at("data") + " --public-key " + other, ExitRefused, "signature"},
		{"update publish" + device + " --data " + at("data") + " --public-key x", ExitUsage, "--public-key"},
		{"update publish" + device + " --data " + at("empty"), ExitUsage, "no hub has its data in " + at("empty")},
		{"update publish" + device, ExitUsage, "no hub has its data in tacet-data"},
		{"update publish" + device + " --dir " + at("elsewhere"), ExitOK, at("elsewhere")},
		{"update publish" + device + " --data " + at("data") + " --public-key " + public, ExitOK, at("data/updates")},
		{"update publish" + device + " --data " + at("data"), ExitOK, at("data/updates")},
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
	r, _, err := shelf.Release(arch)
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
	leads, err := os.ReadFile(at("leads"))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(f); err != nil || !bytes.Equal(b, update.Join(self, leads)) {
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
