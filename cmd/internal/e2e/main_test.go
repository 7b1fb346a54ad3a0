package e2e

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/cmd/internal/e2e/programs"
)

func TestMain(m *testing.M) {
	code := m.Run()
	programs.Remove()
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
	for end := time.Now().Add(time.Minute); ; <-again.C {
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

// The programs.
var (
	tacet       = programs.Tacet
	tacetDevice = programs.Device
	tool        = programs.Tool
)
