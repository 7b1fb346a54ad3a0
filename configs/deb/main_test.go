package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	b, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, b)
	}
	return string(b)
}

// packages builds version 1.0 of both, and a version 2.0 of the device with
// another configuration.
func packages(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var out bytes.Buffer
	if err := run(t.Context(), []string{"--version", "1.0", "--out", dir, "--arch", "amd64,arm64"}, &out); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\n"); n != 4 {
		t.Errorf("it named %d packages:\n%s", n, &out)
	}
	tree := filepath.Join(t.TempDir(), "tree")
	output(t, "dpkg-deb", "-R", filepath.Join(dir, "tacet-device_1.0_amd64.deb"), tree)
	edit(t, filepath.Join(tree, "DEBIAN", "control"), "Version: 1.0\n", "Version: 2.0\n")
	edit(t, filepath.Join(tree, "etc", "tacet", "device.yaml"), "# The device", "# of version 2\n# The device")
	output(t, "dpkg-deb", "-b", "-Zgzip", tree, filepath.Join(dir, "tacet-device_2.0_amd64.deb"))
	return dir
}

func edit(t *testing.T, path, from, to string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil || !bytes.Contains(b, []byte(from)) {
		t.Fatalf("%s: %v, or nothing with %q", path, err, from)
	}
	if err := os.WriteFile(path, bytes.Replace(b, []byte(from), []byte(to), 1), 0o640); err != nil {
		t.Fatal(err)
	}
}

// Both packages are installed, upgraded, removed and purged for real, in a copy
// of this machine.
func TestLife(t *testing.T) {
	dir := packages(t)
	info := output(t, "dpkg-deb", "-I", filepath.Join(dir, "tacet-device_1.0_arm64.deb"))
	for _, want := range []string{"Package: tacet-device", "Architecture: arm64", "Version: 1.0", "Depends: adduser", "conffiles", "postinst", "prerm", "postrm"} {
		if !strings.Contains(info, want) {
			t.Errorf("%q is not in\n%s", want, info)
		}
	}
	contents := output(t, "dpkg-deb", "-c", filepath.Join(dir, "tacet-device_1.0_arm64.deb"))
	for _, want := range []string{"-rwxr-xr-x root/root", "./usr/bin/tacet-device", "./usr/bin/tacet-leader", "-rw-r----- root/root", "./etc/tacet/device.yaml", "./usr/lib/systemd/system/tacet-device.service"} {
		if !strings.Contains(contents, want) {
			t.Errorf("%q is not in\n%s", want, contents)
		}
	}
	steps(t, "testdata/lifecycle.sh", dir)
}

// The programs of a package say its version, and a device's can be signed as an
// update of that version, for another processor too.
func TestVersion(t *testing.T) {
	dir := t.TempDir()
	if err := run(t.Context(), []string{"--version", "1.2.3~rc1", "--out", dir}, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"tacet-device_1.2.3~rc1_amd64", "tacet-device_1.2.3~rc1_arm64", "tacet_1.2.3~rc1_amd64"} {
		output(t, "dpkg-deb", "-x", filepath.Join(dir, p+".deb"), filepath.Join(dir, p))
	}
	tacet := filepath.Join(dir, "tacet_1.2.3~rc1_amd64/usr/bin/tacet")
	device := filepath.Join(dir, "tacet-device_1.2.3~rc1_amd64/usr/bin/tacet-device")
	for _, program := range []string{tacet, device} {
		if got := output(t, program, "version"); !strings.Contains(got, " v1.2.3-rc1 ") {
			t.Errorf("%s says %s", filepath.Base(program), got)
		}
	}
	output(t, tacet, "update", "key", filepath.Join(dir, "key"))
	for _, arch := range []string{"amd64", "arm64"} {
		program := filepath.Join(dir, "tacet-device_1.2.3~rc1_"+arch, "usr/bin/tacet-device")
		if got := output(t, tacet, "update", "sign", program, "--key", filepath.Join(dir, "key")); !strings.HasPrefix(got, "v1.2.3-rc1 linux-"+arch) {
			t.Errorf("it signs %s", got)
		}
	}
}

// Both services run, under a systemd of their own.
func TestServices(t *testing.T) {
	steps(t, "testdata/service.sh", packages(t))
}

// steps runs a script as root in a mount namespace of its own.
func steps(t *testing.T, script, dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("to install a package one has to be root")
	}
	got := output(t, "unshare", "--mount", "--propagation", "private", "sh", script, dir)
	good, end := 0, false
	for line := range strings.Lines(got) {
		switch line = strings.TrimSpace(line); {
		case strings.HasPrefix(line, "FAIL"):
			t.Error(line)
		case strings.HasPrefix(line, "ok "):
			good++
		}
		end = end || line == "done"
	}
	if !end || t.Failed() {
		t.Errorf("after %d good steps it says:\n%s", good, got)
	}
	t.Logf("%d steps", good)
}

func TestSameSourcesSameBytes(t *testing.T) {
	var files [2][]byte
	for i := range files {
		dir := t.TempDir()
		name, err := makeDeb(t.Context(), "tacet-device", "arm64", "1.0", t.TempDir(), dir)
		if err != nil {
			t.Fatal(err)
		}
		if files[i], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("two packages of the same sources differ")
	}
}

// The scripts are for any POSIX shell.
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("scripts/*")
	if err != nil || len(scripts) != 6 {
		t.Fatalf("scripts: %v, %v", scripts, err)
	}
	for _, s := range scripts {
		output(t, "dash", "-n", s)
	}
}

// The services are held tightly: systemd's own measure is 3 or less, where 10 is
// worst.
func TestExposure(t *testing.T) {
	for _, unit := range []string{"tacet-device.service", "tacet.service"} {
		output(t, "systemd-analyze", "security", "--offline=true", "--threshold=30", filepath.Join("..", "systemd", unit))
	}
}

func TestRefused(t *testing.T) {
	for args, want := range map[string]string{
		"--version one":        "one",
		"--version 1.0/../x":   "1.0/../x",
		"--version 01.2.3":     "01.2.3",
		"--version 1.2~rc1":    "1.2~rc1",
		"--arch mips":          "mips",
		"--out " + os.DevNull:  os.DevNull,
		"--frob":               "frob",
		"--arch amd64,riscv64": "riscv64",
	} {
		words := append([]string{"--out", t.TempDir()}, strings.Fields(args)...)
		if err := run(t.Context(), words, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", args, err, want)
		}
	}
}
