package hubd

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// A hub tells systemd that it is up and that it lives, and no more once a message
// does not get through its broker.
func TestSystemdIsTold(t *testing.T) {
	dir, err := os.MkdirTemp("", "sd") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "300000")
	next := func(most time.Duration) (string, error) {
		t.Helper()
		b := make([]byte, 100)
		if err := l.SetReadDeadline(time.Now().Add(most)); err != nil {
			t.Fatal(err)
		}
		n, err := l.Read(b)
		return string(b[:n]), err
	}
	want := func(text string) {
		t.Helper()
		if got, err := next(time.Minute); got != text || err != nil {
			t.Fatalf("systemd was told %q, %v, want %q", got, err, text)
		}
	}
	h, _, stop := started(t, nil)
	want("READY=1")
	want("WATCHDOG=1")
	want("WATCHDOG=1")

	entered, leave := make(chan struct{}, 100), make(chan struct{})
	cancel, err := h.broker.Subscribe(area.Root+"/hub/+/pulse", func(area.Message) {
		entered <- struct{}{}
		<-leave
	})
	if err != nil {
		t.Fatal(err)
	}
	<-entered
	for err = nil; err == nil; { // what was told before, and then nothing for three pulses
		_, err = next(400 * time.Millisecond)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	close(leave)
	want("WATCHDOG=1")
	cancel()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for last := ""; last != "STOPPING=1"; {
		if last, err = next(time.Minute); err != nil {
			t.Fatal(err)
		}
	}
}
