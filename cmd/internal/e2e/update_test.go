package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// buildDevice builds the device's program as a version.
func buildDevice(t *testing.T, version string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tacet-device-"+version)
	out, err := exec.Command("go", "build", "-ldflags", "-s -w -X github.com/tacet-hub/tacet/cmd/internal/cli.release="+version, "-o", path, "../../tacet-device").CombinedOutput()
	if err != nil {
		t.Fatalf("build %s: %v: %s", version, err, out)
	}
	return path
}

// A device is updated by the command line over a hub that asks who comes: it
// becomes the new program in its own process. A program that ends at once is
// started three times, and then the device is what it was, and says so; nobody
// else is begun. It goes back to an older one where that is allowed.
func TestUpdateOfDevice(t *testing.T) {
	t.Parallel()
	m, dir := startManned(t), t.TempDir()
	token := m.login("ann")
	installed, fresh := buildDevice(t, "v1.0.0"), buildDevice(t, "v1.1.0")
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := filepath.Join(dir, "key")
	public, errs, code := m.tacet("update", "key", key)
	if code != 0 {
		t.Fatal(errs)
	}
	publish := func(program string, args ...string) {
		t.Helper()
		for _, line := range [][]string{append([]string{"update", "sign", program, "--key", key}, args...), {"update", "publish", program, "--data", m.data, "--public-key", public}} {
			if _, errs, code := m.tacet(line...); code != 0 {
				t.Fatalf("%q: %s", line, errs)
			}
		}
	}
	config := write("device.yaml", `
device: gate-1
hub: [`+m.ready.MQTT+`]
area: north
username: gate-1
password_file: `+write("password", m.words["gate-1"], 0o600)+`
updates: {keys: ["`+public+`"]}
`, 0o600)
	launch := func() *program {
		return run(t, installed, "run", "--sim", "--config", config, "--data", filepath.Join(dir, "data"))
	}
	ready := func(p *program, mark int) int {
		t.Helper()
		_, mark = p.line(mark, "ready", func(s string) bool { return strings.HasPrefix(s, "ready device=gate-1 ") })
		return mark
	}
	tokenFile := write("token", token+"\n", 0o600)
	order := func(args ...string) *program {
		return run(t, tacet(t), append([]string{"device", "update", "gate-1", "--url", m.ready.HTTP, "--token-file", tokenFile}, args...)...)
	}
	status := func(p *program, version, update string) {
		t.Helper()
		p.message(0, "tacet/device/gate-1/status", func(s string) bool {
			return strings.Contains(s, `"online":true`) && strings.Contains(s, `"version":"`+version+`"`) && strings.Contains(s, update)
		})
	}
	watch := m.subscribe("-v", "-t", "tacet/device/gate-1/status", "-u", "adm", "-P", m.words["adm"], "-i", "adm:watch")

	gate := launch()
	mark := ready(gate, 0)
	status(watch, "v1.0.0", `"update":{"state":"idle"`)

	publish(fresh, "--version", "v1.1.0")
	cli := order()
	same(t, "exit code", cli.wait(), 0)
	if lines := strings.Join(cli.out.since(0), "\n"); !strings.HasSuffix(lines, "gate-1 confirmed v1.1.0") {
		t.Errorf("the command says %s", lines)
	}
	ready(gate, mark) // in the same process
	status(watch, "v1.1.0", `"slot":"a"`)

	// A program that ends at once. The test stands in for what supervises a device.
	publish(write("bad", "#!/bin/sh\nexit 1\n", 0o755), "--version", "v1.2.0", "--arch", arch(t))
	cli = order("--version", "v1.2.0")
	for start := range 3 {
		if code := gate.wait(); code != 1 {
			t.Errorf("start %d of the bad program ends with %d", start+1, code)
		}
		gate = launch()
	}
	mark = ready(gate, 0)
	same(t, "exit code", cli.wait(), 1)
	if lines := strings.Join(cli.out.since(0), "\n"); !strings.Contains(lines, "gate-1 failed v1.2.0: it was started 3 times and was not healthy") {
		t.Errorf("the command says %s", lines)
	}
	status(watch, "v1.1.0", `"state":"failed","version":"v1.2.0"`)
	cli = order()
	same(t, "exit code", cli.wait(), 1)
	if lines := strings.Join(cli.out.since(0), "\n"); !strings.Contains(lines, "gate-1 refused v1.2.0: it was tried here and failed") {
		t.Errorf("ordered again the command says %s", lines)
	}

	// Back to an older one.
	publish(installed, "--version", "v1.0.0")
	cli = order()
	same(t, "exit code", cli.wait(), 1)
	if lines := strings.Join(cli.out.since(0), "\n"); !strings.Contains(lines, "going back was not allowed") {
		t.Errorf("the command says %s", lines)
	}
	cli = order("--allow-downgrade")
	same(t, "exit code", cli.wait(), 0)
	ready(gate, mark)
	status(watch, "v1.0.0", `"slot":"b"`)
	m.silent()
}

// arch is what programs here are built for, as updates name it.
func arch(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOOS", "GOARCH").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(string(out)), "-")
}
