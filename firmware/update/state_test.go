package update

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
	"time"
)

func manifestOf(version string, program []byte) Manifest {
	sum := sha256.Sum256(program)
	return Manifest{Version: version, Arch: Arch(), Size: int64(len(program)), SHA256: hex.EncodeToString(sum[:]),
		Built: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)}
}

func held(version string) Held {
	return Held{Release: Release{Manifest: string(manifestOf(version, []byte(version)).Encode())}, Launcher: "v1.0.0", Order: "u-" + version}
}

// staged is a state in which a version is on trial.
func staged(s State, version string) State { return s.Clear().Staged(held(version)) }

// confirmed is a state in which a version is confirmed.
func confirmed(s State, version string) State {
	s, _ = staged(s, version).Start("v1.0.0")
	return s.Healthy()
}

// starts is what n starts in a row run.
func starts(s State, launcher string, n int) (State, []string) {
	var ran []string
	for range n {
		var at Slot
		s, at = s.Start(launcher)
		ran = append(ran, s.In(at).Manifest().Version)
	}
	return s, ran
}

func TestWhatIsStarted(t *testing.T) {
	one := confirmed(State{}, "v1.1.0")
	two := confirmed(one, "v1.2.0")
	cases := []struct {
		name     string
		state    State
		launcher string
		want     []string // the starts in a row; "" is the installed program
	}{
		{"nothing", State{}, "v1.0.0", []string{"", ""}},
		{"a trial has three starts", staged(State{}, "v1.1.0"), "v1.0.0", []string{"v1.1.0", "v1.1.0", "v1.1.0", "", ""}},
		{"a trial over a confirmed one", staged(one, "v1.2.0"), "v1.0.0", []string{"v1.2.0", "v1.2.0", "v1.2.0", "v1.1.0"}},
		{"confirmed", one, "v1.0.0", []string{"v1.1.0", "v1.1.0"}},
		{"not healthy", staged(one, "v1.2.0").Sick("ill"), "v1.0.0", []string{"v1.1.0"}},
		{"the first one not healthy", staged(State{}, "v1.1.0").Sick("ill"), "v1.0.0", []string{""}},
		{"broken on trial", staged(one, "v1.2.0").Broken(B, "torn"), "v1.0.0", []string{"v1.1.0"}},
		{"confirmed one broken", two.Broken(B, "torn"), "v1.0.0", []string{"v1.1.0"}},
		{"both broken", two.Broken(B, "torn").Broken(A, "torn"), "v1.0.0", []string{""}},
		{"a newer package", one, "v1.3.0", []string{""}},
		{"an older package", one, "v0.9.0", []string{"v1.1.0"}},
		{"a package between the two", two, "v1.1.5", []string{"v1.2.0"}},
		{"a package without a version", one, "devel", []string{"v1.1.0"}},
		{"went back on purpose", confirmed(State{}, "v0.5.0"), "v1.0.0", []string{"v0.5.0"}},
		{"a newer package on trial", staged(State{}, "v1.1.0"), "v1.3.0", []string{""}},
		{"stays not up", one, "v1.0.0", append(repeated("v1.1.0", MaxStarts), "", "")},
		{"stays not up, with one before", two, "v1.0.0", append(repeated("v1.2.0", MaxStarts), "v1.1.0")},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, ran := starts(c.state, c.launcher, len(c.want))
			if fmt.Sprint(ran) != fmt.Sprint(c.want) {
				t.Errorf("it starts %q, want %q", ran, c.want)
			}
		})
	}
}

func repeated(s string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = s
	}
	return list
}

func TestWhatIsRefused(t *testing.T) {
	one := confirmed(State{}, "v1.1.0")
	tried, _ := starts(staged(one, "v1.2.0"), "v1.0.0", MaxTries+1)
	cases := []struct {
		name    string
		state   State
		version string
		want    error
	}{
		{"anything at first", State{}, "v1.1.0", nil},
		{"while another is on trial", staged(one, "v1.2.0"), "v1.3.0", ErrOnTrial},
		{"what runs", one, "v1.1.0", ErrCurrent},
		{"what was tried three times", tried, "v1.2.0", ErrFailed},
		{"what was not healthy", staged(one, "v1.2.0").Sick("ill"), "v1.2.0", ErrFailed},
		{"another than what failed", tried, "v1.2.1", nil},
		{"what was damaged on the disk", staged(one, "v1.2.0").Broken(B, "torn"), "v1.2.0", nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if err := c.state.Refuses(manifestOf(c.version, []byte(c.version))); err != c.want {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

// No more than 16 failures are kept, the newest.
func TestFailuresAreBounded(t *testing.T) {
	s := State{}
	for i := range 40 {
		s = staged(s, fmt.Sprintf("v1.%d.0", i)).Sick("ill")
	}
	if n := len(s.Failed); n != maxFailed || s.Failed[n-1].Version != "v1.39.0" {
		t.Errorf("%d failures are kept, the newest is %v", n, s.Failed[n-1])
	}
	if s.Last != (Outcome{Version: "v1.39.0", Order: "u-v1.39.0", Result: Failed, Reason: "ill"}) {
		t.Errorf("the outcome is %+v", s.Last)
	}
}

// Whatever happens in whatever order, a start never runs a slot that is being
// written to, nor more than three times in a row one that was not confirmed.
func TestEveryOrderOfEvents(t *testing.T) {
	events := []func(State) State{
		func(s State) State { s, _ = s.Start("v1.0.0"); return s },
		func(s State) State {
			if s.Trial != Packaged {
				return s
			}
			return staged(s, "v1.2.0")
		},
		func(s State) State { return s.Clear() },
		State.Healthy,
		State.Lasted,
		func(s State) State { return s.Sick("ill") },
		func(s State) State { return s.Broken(A, "torn") },
		func(s State) State { return s.Broken(B, "torn") },
	}
	var walk func(s State, depth int)
	seen := 0
	walk = func(s State, depth int) {
		seen++
		if s.Current != Packaged && s.Current == s.Previous || s.Trial != Packaged && s.Trial == s.Current {
			t.Fatalf("one slot is two things: %+v", s)
		}
		if s.Tries > MaxTries || s.Starts > MaxStarts {
			t.Fatalf("too many starts: %+v", s)
		}
		if depth == 0 {
			return
		}
		for i, e := range events {
			if i == 2 && s.Trial != Packaged {
				continue // nothing is written while a trial runs: see Refuses
			}
			walk(e(s), depth-1)
		}
	}
	walk(State{}, 5)
	t.Logf("%d states", seen)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// script is a program that says its version. It is long, so that it does not
// come in one piece.
func script(version string) []byte {
	head := "#!/bin/sh\necho " + version + " from slot $" + envSlot + " of $" + envVersion + "\nexit 0\n"
	return append([]byte(head), bytes.Repeat([]byte("#"), 1<<20)...)
}
