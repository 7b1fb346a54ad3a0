package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/configs/image/internal/parts"
)

// arm64 builds a program for the device, the smallest there is.
func arm64(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "x.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "tacet-device")
	cmd := exec.Command("go", "build", "-o", out, source)
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	return out
}

func mtype(t *testing.T, image, name string) []byte {
	t.Helper()
	b, err := exec.Command("mtype", "-i", image+"@@4M", "::"+name).Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return b
}

// The whole command: an image whose files are those of the modules, byte for
// byte, and the same image for the same words.
func TestImage(t *testing.T) {
	dir, device := t.TempDir(), arm64(t)
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, []byte("-----BEGIN CERTIFICATE-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var sums []string
	for _, name := range []string{"a.img", "b.img"} {
		var out, errs bytes.Buffer
		image := filepath.Join(dir, name)
		args := []string{"--source", ".", "--build", filepath.Join(dir, name+".build"), "--program", device, "--hub", "https://hub.local:8080", "--code", "ABCD-EFGH",
			"--name", `Gate "1"`, "--ca", ca, "--update-key", strings.Repeat("A", 43) + "=", "-o", image}
		if code := execute(t.Context(), args, &out, &errs); code != exitOK || out.String() != image+"\n" {
			t.Fatalf("exit code %d, %s%s", code, &out, &errs)
		}
		b, err := os.ReadFile(image)
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, fmt.Sprintf("%x", sha256.Sum256(b)))
	}
	if sums[0] != sums[1] {
		t.Error("two images of one command differ")
	}
	image := filepath.Join(dir, "a.img")
	kernel := moduleDir(t, "github.com/gokrazy/kernel.rpi")
	for _, name := range []string{"vmlinuz", "bcm2710-rpi-3-b.dtb", "bcm2712-rpi-5-b.dtb", "overlays/w1-gpio.dtbo"} {
		want, err := fs.ReadFile(kernel, name)
		if err != nil {
			t.Fatal(err)
		}
		if got := mtype(t, image, name); !bytes.Equal(got, want) {
			t.Errorf("%s is not that of the module: %d bytes, want %d", name, len(got), len(want))
		}
	}
	yaml := string(mtype(t, image, "tacet.yaml"))
	for _, want := range []string{`enrol_hub: "https://hub.local:8080"`, `enrol_code: "ABCD-EFGH"`, "\n#device: ", `name: "Gate \"1\""`, `ca_file: "/boot/ca.pem"`, `updates: {keys: ["AAAA`} {
		if !strings.Contains(yaml, want) {
			t.Errorf("%q is not in tacet.yaml:\n%s", want, yaml)
		}
	}
	if got := string(mtype(t, image, "ca.pem")); got != "-----BEGIN CERTIFICATE-----\n" {
		t.Errorf("ca.pem = %q", got)
	}
}

// The program that is built for the card is of the version that was asked for.
func TestVersion(t *testing.T) {
	p, err := parts.Gather(t.Context(), parts.Config{Source: ".", Out: t.TempDir(), Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{parts.Device, parts.Leader} {
		b, err := fs.ReadFile(p.Programs, name)
		if err != nil || !bytes.Contains(b, []byte("tacet-release:v1.2.3:")) {
			t.Errorf("the version is not in the %d bytes of %s, %v", len(b), name, err)
		}
	}
}

func moduleDir(t *testing.T, module string) fs.FS {
	t.Helper()
	b, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		t.Fatal(err)
	}
	return os.DirFS(strings.TrimSpace(string(b)))
}

func TestRefused(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no program, no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		args string
		code int
		want string
	}{
		"help":              {"--help", exitOK, "Raspberry Pi"},
		"checklist":         {"checklist", exitOK, "Nothing of it was tried"},
		"argument":          {"sd.img", exitUsage, "sd.img"},
		"flag":              {"--frob", exitUsage, "frob"},
		"code alone":        {"--code ABCD", exitUsage, "--hub"},
		"code for MQTT":     {"--code ABCD --hub mqtt://hub", exitUsage, "http://"},
		"no code for HTTP":  {"--hub http://hub", exitUsage, "mqtt://"},
		"no address":        {"--hub hub", exitUsage, "--hub"},
		"code with a quote": {"--hub http://hub --code AB\"CD", exitUsage, "--code"},
		"device":            {"--device a.b", exitUsage, "a.b"},
		"name of two lines": {"--name a\nb", exitUsage, "--name"},
		"key":               {"--update-key AAAA", exitUsage, "--update-key"},
		"version":           {"--version 1.2", exitUsage, "1.2.3"},
		"time servers":      {"--ntp a;reboot", exitUsage, "--ntp"},
		"no certificate":    {"--ca " + text, exitUsage, "no certificate"},
		"no file":           {"--ca /none", exitUsage, "/none"},
		"no program":        {"--source . --build " + t.TempDir() + " --program " + text + " -o " + text + ".img", exitFailed, "linux/arm64"},
		"size":              {"--source . --build " + t.TempDir() + " --program " + arm64(t) + " --size 100 -o " + text + ".img", exitFailed, "power of two"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			if code := execute(t.Context(), strings.Split(c.args, " "), &out, &errs); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if all := out.String() + errs.String(); !strings.Contains(all, c.want) {
				t.Errorf("it said %q, want something with %q", all, c.want)
			}
		})
	}
}
