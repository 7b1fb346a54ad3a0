//go:build unix

package update

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// life builds the program that the tests kill, which is also the launcher.
func life(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "life")
	if out, err := exec.Command("go", "build", "-o", program, "./testdata/life").CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v: %s", err, out)
	}
	return program
}

// offer is what the program is given to update to.
func offer(t *testing.T, dir string, key ed25519.PrivateKey, version string, program []byte) {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"Keys": []string{PublicText(key)}, "Release": release(t, key, manifestOf(version, program)), "Program": program,
	})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "offer.json"), text, 0o600))
}

// play runs the program in a directory; it kills it after a while where that is
// not negative.
func play(t *testing.T, program, dir, role string, kill time.Duration) (out string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var said bytes.Buffer
	c := exec.CommandContext(ctx, program, role)
	c.Dir, c.Stderr = dir, &said
	if kill >= 0 {
		defer time.AfterFunc(kill, cancel).Stop() // SIGKILL
	}
	b, err := c.Output()
	if err != nil && kill < 0 {
		t.Fatalf("%s: %v: %s", role, err, said.String())
	}
	return string(b)
}

// An update is killed at a random point, a hundred times, and the device is
// started after each: it always becomes a good program, the one before or the
// new one; and it gets to the new one in the end.
func TestHundredUpdatesKilled(t *testing.T) {
	program, key, dir := life(t), newKey(t), t.TempDir()
	version := func(n int) string { return fmt.Sprintf("v1.%d.0", n) }
	prepare := func(n int) { offer(t, dir, key, version(n), script(version(n))) }
	well := func() { // on trial or not
		s, err := OpenSlots(filepath.Join(dir, "slots"))
		must(t, err)
		must(t, s.Keep(s.state.Healthy().Lasted()))
	}
	prepare(1)
	began := time.Now()
	play(t, program, dir, "update", -1)
	whole := time.Since(began)
	if out := play(t, program, dir, "launch", -1); !strings.HasPrefix(out, "v1.1.0 from slot") {
		t.Fatalf("it becomes %q", out)
	}
	well()
	good, next := 1, 2
	prepare(next)
	for range 100 {
		play(t, program, dir, "update", rand.N(whole*3/2))
		out := play(t, program, dir, "launch", -1)
		switch {
		case strings.HasPrefix(out, version(next)+" from slot"): // it got through before it was killed
			good, next = next, next+1
			prepare(next)
		case !strings.HasPrefix(out, version(good)+" from slot"):
			t.Fatalf("it becomes %q, want %s or %s", out, version(good), version(next))
		}
		well()
	}
	came := good - 1
	play(t, program, dir, "update", -1)
	if out := play(t, program, dir, "launch", -1); !strings.HasPrefix(out, version(next)+" from slot") {
		t.Errorf("at the end it becomes %q, want %s", out, version(next))
	}
	t.Logf("100 updates killed, 100 starts of a good program; %d of them had come through", came)
}

// Something short that is started beside the device is of the confirmed program,
// and counts no start.
func TestVisit(t *testing.T) {
	program, key, dir := life(t), newKey(t), t.TempDir()
	state := func(change func(State) State) State {
		s, err := OpenSlots(filepath.Join(dir, "slots"))
		must(t, err)
		must(t, s.Keep(change(s.state)))
		return s.state
	}
	same := func(s State) State { return s }
	visit := func(when, want string) {
		t.Helper()
		before := state(same)
		if out := play(t, program, dir, "visit", -1); !strings.HasPrefix(out, want) {
			t.Errorf("%s: it becomes %q, want %q", when, out, want)
		}
		if after := state(same); after.Starts != before.Starts || after.Tries != before.Tries || after.Current != before.Current {
			t.Errorf("%s: %+v has become %+v", when, before, after)
		}
	}
	offer(t, dir, key, "v1.1.0", script("v1.1.0"))
	play(t, program, dir, "update", -1)
	visit("on trial", "installed <nil>")
	state(State.Healthy)
	visit("confirmed", "v1.1.0 from slot a")
	offer(t, dir, newKey(t), "v1.1.0", script("v1.1.0"))
	visit("its key is gone", "installed "+ErrSignature.Error())
}

// What the launcher finds in a slot that it cannot start, it goes past.
func TestSlotsThatCannotBeStarted(t *testing.T) {
	device, key, other := life(t), newKey(t), newKey(t)
	cases := []struct {
		name    string
		program []byte
		change  func(t *testing.T, dir string) // after it was staged
		want    string
	}{
		{"good", script("v1.1.0"), nil, "v1.1.0 from slot a of v1.0.0\n"},
		{"for another processor", []byte("\x7fELF nothing of the kind"), nil, "installed <nil>\n"},
		{"empty interpreter", []byte("#!/nowhere/sh\n"), nil, "installed <nil>\n"},
		{"a bit flipped", script("v1.1.0"), func(t *testing.T, dir string) { flip(t, filepath.Join(dir, "a")) }, "installed <nil>\n"},
		{"cut short", script("v1.1.0"), func(t *testing.T, dir string) { must(t, os.Truncate(filepath.Join(dir, "a"), 1000)) }, "installed <nil>\n"},
		{"gone", script("v1.1.0"), func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "a"))) }, "installed <nil>\n"},
		{"may not be executed", script("v1.1.0"), func(t *testing.T, dir string) { must(t, os.Chmod(filepath.Join(dir, "a"), 0o600)) }, "installed <nil>\n"},
		{"state gone", script("v1.1.0"), func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, stateFile))) }, "installed <nil>\n"},
		{"state damaged", script("v1.1.0"), func(t *testing.T, dir string) { must(t, os.Truncate(filepath.Join(dir, stateFile), 40)) }, "installed <nil>\n"},
		{"put there by somebody without the key", script("v6.6.6"), func(t *testing.T, dir string) {
			s, err := OpenSlots(dir)
			must(t, err)
			h := s.state.A
			h.Release = release(t, other, h.Manifest())
			must(t, s.Keep(s.state.Staged(h)))
		}, "installed <nil>\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			offer(t, dir, key, "v1.1.0", c.program)
			play(t, device, dir, "update", -1)
			if c.change != nil {
				c.change(t, filepath.Join(dir, "slots"))
			}
			for range 2 { // the second time it is known
				if out := play(t, device, dir, "launch", -1); out != c.want {
					t.Errorf("it becomes %q, want %q", out, c.want)
				}
			}
		})
	}
}

func flip(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	b[len(b)-1] ^= 1
	must(t, os.WriteFile(path, b, 0o700))
}
