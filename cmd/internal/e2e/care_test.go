package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
)

// A device that has nothing but a boot partition is enrolled by its code, chirps
// when somebody looks for it, tells why it was started and what it said before it
// was killed, is safe after five failed starts, and is brought back by an
// operator.
func TestDeviceLooksAfterItself(t *testing.T) {
	t.Parallel()
	m, dir := startManned(t), t.TempDir()
	token := m.login("ann")
	code := strings.TrimSpace(m.operate(token, "device", "enrol", "gate-9", "--area", "north"))
	m.secrets = append(m.secrets, code)
	boot, data := filepath.Join(dir, "boot"), filepath.Join(dir, "data")
	file := filepath.Join(boot, "tacet.yaml")
	if err := os.Mkdir(boot, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("# gate 9\nenrol_hub: "+m.ready.HTTP+"\nenrol_code: "+code+" # once\nsafe_mode: auto\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	watch := m.subscribe("-v", "-t", "tacet/device/gate-9/+", "-t", "tacet/device/gate-9/event/+", "-u", "adm", "-P", m.words["adm"], "-i", "adm:watch")
	mark := 0
	status := func(what string, fits func(area.Status) bool) {
		t.Helper()
		_, mark = watch.message(mark, "tacet/device/gate-9/status", func(s string) bool {
			st, err := area.ParseStatus([]byte(s))
			return err == nil && fits(st)
		})
	}
	started := func(reason string, safe bool) func(area.Status) bool {
		return func(s area.Status) bool {
			return s.Online && s.Health != nil && s.Health.BootReason == reason && s.Health.SafeMode == safe
		}
	}
	wav := filepath.Join(dir, "gate-9.wav")
	start := func() *program {
		t.Helper()
		p := run(t, tacetDevice(t), "run", "--sim", "--boot", boot, "--data", data, "--wav", wav)
		p.line(0, "ready", func(s string) bool { return strings.HasPrefix(s, "ready device=gate-9 ") })
		return p
	}

	gate := start()
	status("power on", started(area.BootPowerOn, false))
	watch.message(0, "tacet/device/gate-9/event/enrolled", anything)
	if b, err := os.ReadFile(file); err != nil || string(b) != "# gate 9\nenrol_hub: "+m.ready.HTTP+"\nenrol_code: \"\" # once\nsafe_mode: auto\n" {
		t.Errorf("the file has %s, %v", b, err)
	}

	m.operate(token, "device", "identify", "gate-9")
	status("chirping", func(s area.Status) bool { return s.State == "playing" })
	status("chirped", func(s area.Status) bool { return s.State == "idle" })
	if b, err := os.ReadFile(wav + ".jsonl"); err != nil || !strings.Contains(string(b), `"event":"end"`) {
		t.Errorf("the recording has %s, %v", b, err)
	}
	if shown := m.operate(token, "device", "show", "gate-9"); !strings.Contains(shown, "power_on") {
		t.Errorf("the device is shown as %s", shown)
	}

	for n := range 5 {
		gate.signal(syscall.SIGKILL)
		gate.wait()
		gate = start()
		status("crash", started(area.BootCrash, n == 4))
	}
	sent, _ := watch.message(0, "tacet/device/gate-9/log", anything)
	var log struct {
		Reason string
		Lines  []string
	}
	if err := json.Unmarshal([]byte(sent), &log); err != nil || log.Reason != "crash" || !strings.Contains(strings.Join(log.Lines, "\n"), "msg=connected") {
		t.Errorf("of the crash is sent %s, %v", sent, err)
	}

	m.operate(token, "device", "restart", "gate-9")
	same(t, "exit code", gate.wait(), 75)
	gate = start()
	status("restarted", started(area.BootOrderly, false))
	gate.signal(syscall.SIGTERM)
	same(t, "exit code", gate.wait(), 0)
	status("gone", func(s area.Status) bool { return !s.Online })
	if text := strings.Join(gate.errs.since(0), "\n"); strings.Contains(text, code) {
		t.Error("the code is in the log of the device")
	}
	m.silent()
}
