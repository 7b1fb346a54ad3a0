package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

// built is the directory of the programs that tests have built.
var built = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "tacet-e2e-") })

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := built(); err == nil {
		_ = os.RemoveAll(dir)
	}
	if left := leaked(); code == 0 && len(left) > 0 {
		fmt.Fprintf(os.Stderr, "%d goroutines of ours are left:\n\n%s\n", len(left), bytes.Join(left, []byte("\n\n")))
		code = 1
	}
	os.Exit(code)
}

// leaked is the goroutines of ours that are left when every hub has ended. It
// gives them a while: some end just after who waits for them has gone on.
func leaked() (left [][]byte) {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(5 * time.Second); ; <-again.C {
		buf := make([]byte, 16<<20)
		left = nil
		for i, stack := range bytes.Split(buf[:runtime.Stack(buf, true)], []byte("\n\n")) {
			if i > 0 && bytes.Contains(stack, []byte("github.com/tacet-hub/tacet/")) { // the first is this one
				left = append(left, stack)
			}
		}
		if len(left) == 0 || time.Now().After(end) {
			return left
		}
	}
}

// build makes a program of cmd once, for all tests that ask for it.
func build(name string) func(testing.TB) string {
	once := sync.OnceValues(func() (string, error) {
		dir, err := built()
		if err != nil {
			return "", err
		}
		path := filepath.Join(dir, name)
		out, err := exec.Command("go", "build", "-o", path, "../../"+name).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
		return path, nil
	})
	return func(t testing.TB) string {
		t.Helper()
		path, err := once()
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
}

// The programs.
var (
	tacet       = build("tacet")
	tacetDevice = build("tacet-device")
)
