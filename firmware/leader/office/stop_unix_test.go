//go:build unix

package office

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// A device that stands still stops its program from leading, without being asked.
func TestADeviceThatStandsStill(t *testing.T) {
	cmd := exec.Command(os.Args[0], "device", t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	c := dial(t, first(t, out))
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("it still leads")
	}
}

// A program that stands still is killed, and the reign is over.
func TestAProgramThatStandsStill(t *testing.T) {
	d := newDesktop(t, t.TempDir())
	_, addr, over := d.lead(t.Context())
	c := dial(t, addr)
	until(func() bool { return d.Leads() })
	if err := syscall.Kill(d.Stats().PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := <-over; !errors.Is(err, errSilent) {
		t.Errorf("the reign ends with %v", err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("it still leads")
	}
	if s := d.Stats(); s.Silent != 1 || s.Died != 1 {
		t.Errorf("%+v", s)
	}
}
