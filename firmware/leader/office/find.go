package office

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Program is the name of the program.
const Program = "tacet-leader"

// Why a device cannot lead.
var (
	ErrNoProgram = errors.New(Program + " is not installed")
	ErrRelease   = errors.New(Program + " is of another release")
	ErrNotRun    = errors.New(Program + " cannot be run")
	errNotAsked  = errors.New(Program + " was not asked for its release yet")
)

// Near finds the program beside the one at self, else on the path of the
// environment. Its error is [ErrNoProgram].
func Near(self string) (string, error) {
	if at := filepath.Join(filepath.Dir(self), Program); self != "" {
		if info, err := os.Stat(at); err == nil && info.Mode().IsRegular() {
			return at, nil
		}
	}
	if at, err := exec.LookPath(Program); err == nil {
		return at, nil
	}
	return "", fmt.Errorf("%w: neither beside %s nor on the path", ErrNoProgram, filepath.Base(self))
}

// Probe finds the program and asks it for its release, for which it is run for a
// moment. Its error is [ErrNoProgram], [ErrRelease] or [ErrNotRun]. It blocks for 5 s
// at most.
func Probe(ctx context.Context, release string, find func() (string, error)) (path string, err error) {
	if path, err = find(); err != nil {
		if errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrNoProgram) {
			err = fmt.Errorf("%w: %w", ErrNoProgram, err)
		}
		return path, err
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "version")
	cmd.WaitDelay = Ask
	out, err := cmd.Output()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return path, fmt.Errorf("%w: %w", ErrNoProgram, err)
	case err != nil:
		return path, fmt.Errorf("%w: %s: %w", ErrNotRun, path, err)
	}
	words := strings.Fields(string(out))
	if len(words) < 2 || words[0] != Program {
		return path, fmt.Errorf("%w: %s is another program", ErrNotRun, path)
	}
	if words[1] != release {
		return path, fmt.Errorf("%w: %s is %.60s, not %s", ErrRelease, path, words[1], release)
	}
	return path, nil
}

// The files of the directory.
const (
	database  = "leader.db"
	clearMark = "clear"
)

// owes tells whether a program has run in the directory, and has not said at its end
// that nothing is owed.
func owes(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, database))
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join(dir, clearMark))
	return errors.Is(err, fs.ErrNotExist)
}

// unmark says that something may be owed; it is on the disk when it returns.
func unmark(dir string) error {
	if err := os.Remove(filepath.Join(dir, clearMark)); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return syncDir(dir)
}

// mark says that nothing is owed. Where it is lost, the program is run once more.
func mark(dir string) error { return os.WriteFile(filepath.Join(dir, clearMark), nil, 0o600) }
