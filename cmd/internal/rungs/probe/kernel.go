//go:build linux

package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tacet-hub/tacet/cmd/internal/rungs/proof"
)

// tryKernel looks whether the machine has what the other suites build upon.
func tryKernel(s *proof.Sheet) {
	var u unix.Utsname
	err := unix.Uname(&u)
	s.Check("kernel.version", "Linux "+unix.ByteSliceToString(u.Release[:])+" "+runtime.GOARCH, err)
	raw, err := os.ReadFile("/proc/asound/cards")
	cards := strings.Join(strings.Fields(string(raw)), " ")
	if err == nil && !strings.Contains(cards, "Loopback") {
		err = fmt.Errorf("there is no loopback among the sound cards: %s", cards)
	}
	s.Check("kernel.sound", tidy(cards), err)
	d, err := silence(300 * time.Millisecond)
	if err == nil && (d < 290*time.Millisecond || d > 900*time.Millisecond) {
		err = fmt.Errorf("300 ms of samples took %v", d)
	}
	s.Check("kernel.soundclock", fmt.Sprintf("300 ms of samples in %v", d.Round(time.Millisecond)), err)
}

// silence records for d and answers how long that took.
func silence(d time.Duration) (time.Duration, error) {
	r, err := recordLoopback()
	if err != nil {
		return 0, err
	}
	defer r.close()
	began := now()
	for range d / (10 * time.Millisecond) {
		if _, err := r.read(); err != nil {
			return 0, err
		}
	}
	return now() - began, nil
}

// tidy cuts what is too long for a line.
func tidy(s string) string {
	if len(s) > 120 {
		s = s[:120] + "…"
	}
	return s
}

// card is the number of the sound card that the kernel calls id.
func card(id string) (int, error) {
	raw, err := os.ReadFile("/proc/asound/cards")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) { // " 0 [Loopback       ]: Loopback - Loopback"
		var n int
		if number, rest, found := strings.Cut(line, "["); found && strings.HasPrefix(rest, id) {
			_, err := fmt.Sscan(number, &n)
			return n, err
		}
	}
	return 0, fmt.Errorf("there is no sound card %s", id)
}

// recordLoopback records what is played on device 0 of the kernel's loopback.
func recordLoopback() (*recorder, error) {
	n, err := card("Loopback")
	if err != nil {
		return nil, err
	}
	return record(fmt.Sprintf("/dev/snd/pcmC%dD1c", n))
}
