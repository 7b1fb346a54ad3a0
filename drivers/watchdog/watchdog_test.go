package watchdog

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A file stands for a watchdog that has no calls: what is fed and the magic
// close are the bytes in it.
func TestDevice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "watchdog")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := Open(path, 15*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if d.Timeout() != 15*time.Second || d.WasReset() {
		t.Errorf("timeout %v, reset %v", d.Timeout(), d.WasReset())
	}
	written := func(want string) {
		t.Helper()
		if b, err := os.ReadFile(path); err != nil || string(b) != want {
			t.Errorf("written %q, %v, want %q", b, err, want)
		}
	}
	for range 3 {
		if err := d.Feed(); err != nil {
			t.Fatal(err)
		}
	}
	written("kkk")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	written("kkkV")
	if err := d.Feed(); err == nil {
		t.Error("it is fed after it was closed")
	}
}

func TestDeviceThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		path    string
		timeout time.Duration
		want    string
	}{
		"not there":   {filepath.Join(dir, "none"), time.Minute, "none"},
		"a directory": {dir, time.Minute, dir},
		"no time":     {filepath.Join(dir, "x"), time.Millisecond, "under 1 s"},
	} {
		if _, err := Open(c.path, c.timeout); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, c.want)
		}
	}
}

// systemd listens on a socket, and hears what it is told line by line.
func systemd(t *testing.T) (path string, heard func() string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "sd") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path = filepath.Join(dir, "s")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return path, func() string {
		b := make([]byte, 1000)
		if err := l.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		n, err := l.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
}

func environ(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestNotifier(t *testing.T) {
	path, heard := systemd(t)
	n, err := Systemd(environ("NOTIFY_SOCKET", path, "WATCHDOG_USEC", "30000000", "WATCHDOG_PID", strconv.Itoa(os.Getpid())))
	if err != nil {
		t.Fatal(err)
	}
	if n.Timeout() != 30*time.Second {
		t.Errorf("timeout %v", n.Timeout())
	}
	for _, c := range []struct {
		say  func() error
		want string
	}{
		{n.Ready, "READY=1"}, {n.Feed, "WATCHDOG=1"}, {func() error { return n.Status("no hub:\nrefused") }, "STATUS=no hub:; refused"},
		{func() error { _ = n.Status("no hub:\nrefused"); return n.Stopping() }, "STOPPING=1"},
	} {
		if err := c.say(); err != nil {
			t.Fatal(err)
		}
		if got := heard(); got != c.want {
			t.Errorf("systemd heard %q, want %q", got, c.want)
		}
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}

func TestNotifierWithoutSystemd(t *testing.T) {
	n, err := Systemd(environ())
	if n != nil || err != nil {
		t.Fatalf("%v, %v", n, err)
	}
	for _, say := range []func() error{n.Ready, n.Feed, n.Stopping, n.Close, func() error { return n.Status("x") }} {
		if err := say(); err != nil {
			t.Error(err)
		}
	}
	path, heard := systemd(t)
	if n, err = Systemd(environ("NOTIFY_SOCKET", path, "WATCHDOG_USEC", "30000000", "WATCHDOG_PID", "1")); err != nil || n.Timeout() != 0 {
		t.Errorf("another process is watched, and this one has %v, %v", n.Timeout(), err)
	}
	_, _ = n.Feed(), n.Ready()
	if got := heard(); got != "READY=1" {
		t.Errorf("fed without a watch: %q", got)
	}
	for _, bad := range []string{"relative", filepath.Join(t.TempDir(), "none")} {
		if _, err := Systemd(environ("NOTIFY_SOCKET", bad)); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}
