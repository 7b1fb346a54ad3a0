package deviced

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware"
)

// simulated is the configuration of a simulated device at a hub.
func simulated(t *testing.T, url string) Config {
	t.Helper()
	c := Default()
	c.Device, c.Area, c.Hub, c.Sim, c.Data = "gate-1", "north", []string{url}, true, filepath.Join(t.TempDir(), "data")
	c.Lead = inside
	return c
}

// run runs a device until end is called, which answers what Run did.
func run(t *testing.T, cfg Config) (d *Device, end func() error) {
	t.Helper()
	d, err := New(cfg, "v1", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(cancel)
	<-d.Ready()
	return d, func() error { cancel(); return <-ended }
}

// kept is the newest status for which ok holds.
func kept(t *testing.T, b *broker.Broker, ok func(area.Status) bool) area.Status {
	t.Helper()
	news := make(chan area.Message, 100)
	cancel, err := b.Subscribe(area.StatusTopic("gate-1"), func(m area.Message) { news <- m })
	if err != nil {
		t.Fatal(err)
	}
	defer cancel()
	for _, m := range b.Retained(area.StatusTopic("gate-1"), 1) {
		if s, err := area.ParseStatus(m.Payload); err == nil && ok(s) {
			return s
		}
	}
	for {
		select {
		case m := <-news:
			if s, err := area.ParseStatus(m.Payload); err == nil && ok(s) {
				return s
			}
		case <-time.After(time.Minute):
			t.Fatal("no such status in a minute")
		}
	}
}

func TestReasonOfTheStartIsTold(t *testing.T) {
	url, b := hub(t)
	cfg := simulated(t, url)
	reason := func(want string) {
		t.Helper()
		kept(t, b, func(s area.Status) bool { return s.Online && s.Health != nil && s.Health.BootReason == want })
	}
	_, end := run(t, cfg)
	reason(area.BootPowerOn)
	if err := end(); err != nil {
		t.Fatal(err)
	}
	d, end := run(t, cfg)
	reason(area.BootOrderly)
	d.agent.End(firmware.ErrRestart)
	kept(t, b, func(s area.Status) bool { return !s.Online })
	if err := end(); !errors.Is(err, firmware.ErrRestart) {
		t.Errorf("Run: %v", err)
	}
}

// systemd is told that the device is ready, what it does, that it lives, and
// that it ends.
func TestSystemdIsTold(t *testing.T) {
	url, _ := hub(t)
	dir, err := os.MkdirTemp("", "sd") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", filepath.Join(dir, "s"))
	t.Setenv("WATCHDOG_USEC", "3000000")
	t.Setenv("WATCHDOG_PID", "")
	t.Setenv("RUNTIME_DIRECTORY", dir)
	hear := func(wants ...string) { // in any order
		t.Helper()
		b := make([]byte, 1000)
		for len(wants) > 0 {
			if err := l.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			n, err := l.Read(b)
			if err != nil {
				t.Fatalf("%q were not said: %v", wants, err)
			}
			if i := slices.Index(wants, string(b[:n])); i >= 0 {
				wants = slices.Delete(wants, i, i+1)
			}
		}
	}
	cfg := simulated(t, url)
	cfg.Alone = true
	_, end := run(t, cfg)
	hear("READY=1", "WATCHDOG=1", "WATCHDOG=1", "STATUS=connected to "+url)
	if b, err := os.ReadFile(filepath.Join(dir, "gate-1.log")); err != nil || !strings.Contains(string(b), "connected") {
		t.Errorf("the log of the run is %q, %v", b, err)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	hear("STOPPING=1")
}

// What should look after the run and cannot be had is in the status, and the device
// goes on.
func TestWithoutAWatchdog(t *testing.T) {
	url, b := hub(t)
	cfg := simulated(t, url)
	t.Setenv("NOTIFY_SOCKET", "/nowhere/s")
	t.Setenv("RUNTIME_DIRECTORY", "/nowhere")
	cfg.Alone = true
	_, end := run(t, cfg)
	s := kept(t, b, func(s area.Status) bool { return s.Online && s.Health != nil })
	for _, what := range []string{"systemd", "log"} {
		if !strings.Contains(s.Health.Faults[what], "/nowhere") {
			t.Errorf("of %s it says %q", what, s.Health.Faults[what])
		}
	}
	if s.Health.LastError == nil || !strings.Contains(*s.Health.LastError, "/nowhere") {
		t.Errorf("health = %+v", s.Health)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

// A process that is killed is seen as a crash by the next start, with the last
// lines of its log and what the runtime said; five of them lead to safe mode, and
// a restart out of it.
func TestCrashesAreTold(t *testing.T) {
	if os.Getenv("TACET_TEST_CRASH") != "" {
		crash(t)
	}
	url, b := hub(t)
	cfg := simulated(t, url)
	cfg.SafeMode = SafeModeAuto
	temporary := t.TempDir() // who crashes does not clean up
	for range 5 {
		c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCrashesAreTold$")
		c.Env = append(os.Environ(), "TACET_TEST_CRASH="+cfg.Data, "TACET_TEST_HUB="+url, "TMPDIR="+temporary)
		if out, err := c.CombinedOutput(); err == nil || !strings.Contains(string(out), "as if it were a driver") {
			t.Fatalf("%v: %s", err, out)
		}
	}
	logs := make(chan area.Message, 10)
	if _, err := b.Subscribe("tacet/device/gate-1/log", func(m area.Message) { logs <- m }); err != nil {
		t.Fatal(err)
	}
	d, end := run(t, cfg)
	s := kept(t, b, func(s area.Status) bool { return s.Online && s.Health != nil && s.Boot == 6 }) // and not of one that crashed
	if s.Health.BootReason != area.BootCrash || !s.Health.SafeMode {
		t.Errorf("health = %+v", s.Health)
	}
	if text := string((<-logs).Payload); !strings.Contains(text, `"reason":"crash"`) || !strings.Contains(text, "a line before the crash") || !strings.Contains(text, "as if it were a driver") {
		t.Errorf("of the crash is sent: %s", text)
	}
	d.agent.End(firmware.ErrRestart)
	kept(t, b, func(s area.Status) bool { return !s.Online })
	_ = end()
	_, end = run(t, cfg)
	kept(t, b, func(s area.Status) bool { return s.Online && s.Health != nil && !s.Health.SafeMode && s.Boot == 7 })
	if err := end(); err != nil {
		t.Error(err)
	}
}

// crash is a device in a process of its own, which dies of a goroutine that is
// nobody's.
func crash(t *testing.T) {
	cfg := simulated(t, os.Getenv("TACET_TEST_HUB"))
	cfg.Data, cfg.SafeMode, cfg.Alone = os.Getenv("TACET_TEST_CRASH"), SafeModeAuto, true
	d, _ := run(t, cfg)
	d.agent.Log.Info("a line before the crash")
	done := make(chan bool)
	go func() { panic("as if it were a driver") }()
	<-done
}

// The watchdog of the machine is fed while the device runs, and stopped when it
// ends in order. A file stands for it.
func TestWatchdogOfTheMachine(t *testing.T) {
	t.Parallel()
	url, b := hub(t)
	cfg := simulated(t, url)
	cfg.Sim, cfg.Audio.Output, cfg.Watchdog = false, OutputNull, filepath.Join(t.TempDir(), "watchdog")
	if err := os.WriteFile(cfg.Watchdog, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, end := run(t, cfg)
	kept(t, b, func(s area.Status) bool { return s.Online && s.Health != nil && s.Health.Faults["watchdog"] == "" })
	fed := func() string { b, _ := os.ReadFile(cfg.Watchdog); return string(b) }
	for late := time.After(time.Minute); fed() == ""; {
		select {
		case <-late:
			t.Fatal("it is not fed in a minute")
		case <-time.After(100 * time.Millisecond):
		}
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	if got := fed(); strings.Trim(got, "k") != "V" {
		t.Errorf("the watchdog got %q, want feeds and the magic close", got)
	}
}
