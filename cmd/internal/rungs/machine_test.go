//go:build linux

package rungs

import (
	"context"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/cmd/internal/rungs/proof"
)

func shell(t *testing.T, script string) *Machine {
	t.Helper()
	m, err := Start(t.Context(), "shell", "/bin/sh", "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Kill)
	return m
}

func TestFollow(t *testing.T) {
	cases := []struct {
		name, script string
		fails        int
		err          string // a part of it; empty: none
	}{
		{"good", "echo booting; echo HW ok pin; echo RESULT fails=0; sleep 60", 0, ""},
		{"failures are counted", "echo HW FAIL pin low; echo HW ok tone; echo RESULT fails=1", 1, ""},
		{"ends early", "echo HW ok pin; echo panic >&2", 0, "panic"},
		{"lines are lost", "echo HW ok pin; echo RESULT fails=2", 0, "counted 2 failures, 0 came"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			sheet := proof.New(&out, nil)
			err := shell(t, c.script).Follow(t.Context(), sheet)
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("error %v, want %q", err, c.err)
			}
			if n := sheet.Close(); n != c.fails {
				t.Errorf("%d failures, want %d: %s", n, c.fails, &out)
			}
		})
	}
}

// What a machine started ends with it, and its time is limited.
func TestMachineEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	m, err := Start(ctx, "shell", "/bin/sh", "-c", "sleep 60 & echo here; wait")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Await(ctx, "here"); err != nil {
		t.Fatal(err)
	}
	cancel()
	wait, done := context.WithTimeout(t.Context(), 30*time.Second)
	defer done()
	if err := m.Wait(wait); err == nil || wait.Err() != nil {
		t.Errorf("it ended with %v", err)
	}
	if _, err := m.Await(t.Context(), "more"); err == nil || !strings.Contains(err.Error(), "here") {
		t.Errorf("a line after the end: %v", err)
	}
	m.Kill()
	gone, end := context.WithTimeout(t.Context(), time.Millisecond)
	defer end()
	if _, err := shell(t, "sleep 60").Await(gone, "x"); err == nil {
		t.Error("a line came of nothing")
	}
	if _, err := Start(t.Context(), "none", "/nowhere/at/all"); err == nil {
		t.Error("a program that is not there has started")
	}
}

// The alarm hears of the lines that it is for, even where nobody reads them.
func TestAlarm(t *testing.T) {
	heard := make(chan string, 8)
	m := shell(t, "trap 'echo mmc: timeout; echo all is well; echo mmc: fsm 1; exit' USR1; echo here; while :; do sleep 0.01; done")
	if _, err := m.Await(t.Context(), "here"); err != nil {
		t.Fatal(err)
	}
	m.Alarm(func(line string) { heard <- line }, "mmc: timeout", "mmc: fsm ")
	if err := m.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	<-m.ended
	close(heard)
	var got []string
	for line := range heard {
		got = append(got, line)
	}
	if want := []string{"mmc: timeout", "mmc: fsm 1"}; !slices.Equal(got, want) {
		t.Errorf("it heard %q, want %q", got, want)
	}
}
