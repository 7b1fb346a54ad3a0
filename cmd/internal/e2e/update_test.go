package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/e2e/programs"
)

// versions are the builds of the device's program, by version.
var versions = map[string]func(testing.TB) string{"v1.0.0": programs.Version("v1.0.0"), "v1.1.0": programs.Version("v1.1.0")}

// copied is a device's program of a test's own, with its leader beside it: signing it
// has it carry that, and writes beside it. Another process copies: what this one has
// open for writing a program that another test starts just now has open too, for a
// moment, and then nobody can start it ("text file busy").
func copied(t *testing.T, program string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{filepath.Base(program), "tacet-leader"} {
		if out, err := exec.Command("cp", filepath.Join(filepath.Dir(program), name), dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return filepath.Join(dir, filepath.Base(program))
}

// leadsBy waits until the leader of a version has come out of the program that a
// device runs, and none of another version is there.
func leadsBy(t *testing.T, data, version string) {
	t.Helper()
	eventually(t, "the leader of "+version+" is there", func() bool {
		all, err := filepath.Glob(filepath.Join(data, "leader", "tacet-leader-*"))
		if err != nil {
			t.Fatal(err)
		}
		if len(all) != 1 || strings.HasSuffix(all[0], ".new") {
			return false
		}
		out, _ := exec.Command(all[0], "version").Output() // else it comes, or goes
		return strings.HasPrefix(string(out), "tacet-leader "+version+" ")
	})
}

// A device is updated by the command line over a hub that asks who comes: it
// becomes the new program in its own process. A program that ends at once is
// started three times, and then the device is what it was, and says so; nobody
// else is begun. It goes back to an older one where that is allowed.
func TestUpdateOfDevice(t *testing.T) {
	t.Parallel()
	m, dir := startManned(t), t.TempDir()
	token := m.login("ann")
	installed, fresh := copied(t, versions["v1.0.0"](t)), copied(t, versions["v1.1.0"](t))
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
	leadsBy(t, filepath.Join(dir, "data"), "v1.1.0")

	// A program that ends at once. The test stands in for what supervises a device.
	publish(ends(t, "v1.2.0"))
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
	leadsBy(t, filepath.Join(dir, "data"), "v1.1.0")
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
	leadsBy(t, filepath.Join(dir, "data"), "v1.0.0") // both have gone back
	m.silent()
}

// ends is a device's program of a version that ends at once.
func ends(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module example.org/cmd/tacet-device\n\ngo 1.25\n")
	write("main.go", "package main\n\nimport \"os\"\n\nfunc main() {\n\tprintln(\"tacet-release:"+version+":\")\n\tos.Exit(1)\n}\n")
	cmd := exec.Command("go", "build", "-o", "bad", ".")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return filepath.Join(dir, "bad")
}

// Three devices of two areas are updated by one command: those of one area one
// after the other, so that one of them can always be heard.
func TestUpdateOneAtATime(t *testing.T) {
	t.Parallel()
	h := startSite(t, t.TempDir(), strings.Replace(siteFile, "areas:\n", "areas:\n  - {id: south, name: South Wing, locations: [{id: \"3\", name: Gate 3}]}\n", 1))
	dir := t.TempDir()
	installed, fresh := versions["v1.0.0"](t), copied(t, versions["v1.1.0"](t))
	public, errs, code := h.tacet("update", "key", filepath.Join(dir, "key"))
	if code != 0 {
		t.Fatal(errs)
	}
	for _, line := range [][]string{{"update", "sign", fresh, "--key", filepath.Join(dir, "key"), "--version", "v1.1.0"}, {"update", "publish", fresh, "--data", h.data}} {
		if _, errs, code := h.tacet(line...); code != 0 {
			t.Fatalf("%q: %s", line, errs)
		}
	}
	watch := h.subscribe("-v", "-t", "tacet/device/+/status")
	for _, d := range []struct{ id, in string }{{"gate-1", "north"}, {"gate-2", "north"}, {"gate-3", "south"}} {
		config := filepath.Join(dir, d.id+".yaml")
		text := "device: " + d.id + "\nhub: [" + h.ready.MQTT + "]\narea: " + d.in + "\nupdates: {keys: [\"" + public + "\"]}\n"
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p := run(t, installed, "run", "--sim", "--config", config, "--data", filepath.Join(dir, d.id))
		p.line(0, "ready", func(s string) bool { return strings.HasPrefix(s, "ready ") })
	}
	cli, mark := run(t, tacet(t), "device", "update", "--all", "--url", h.ready.HTTP), 0
	for range 3 { // each takes its time
		_, mark = cli.line(mark, "a device that is confirmed", func(s string) bool { return strings.HasSuffix(s, " confirmed v1.1.0") })
	}
	same(t, "exit code", cli.wait(), 0)
	// What the broker has sent of gate-1 and gate-2, in its order.
	for _, id := range []string{"gate-1", "gate-2", "gate-3"} {
		watch.message(0, "tacet/device/"+id+"/status", func(s string) bool { return strings.Contains(s, `"state":"confirmed"`) })
	}
	at := map[string]string{}
	for _, line := range watch.out.since(0) {
		topic, payload, ok := strings.Cut(line, " ")
		var st area.Status
		if !ok || json.Unmarshal([]byte(payload), &st) != nil || st.Update == nil {
			continue
		}
		id := strings.Split(topic, "/")[2]
		at[id] = st.Update.State
		if !st.Online {
			at[id] = "away"
		}
		rest := func(state string) bool { return state == area.UpdateIdle || state == area.UpdateConfirmed }
		if !rest(at["gate-1"]) && !rest(at["gate-2"]) && at["gate-1"] != "" && at["gate-2"] != "" {
			t.Errorf("gate-1 is %s while gate-2 is %s", at["gate-1"], at["gate-2"])
		}
	}
}
