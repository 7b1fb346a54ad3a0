//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/tacet-hub/tacet/cmd/internal/rungs/proof"
)

// testList names programs of tests, a path and an expression on each line.
const testList = "/tests/list"

// tryTests runs programs of tests on this kernel. A test that is skipped, or none
// that matches, is a failure.
func tryTests(s *proof.Sheet) {
	list, err := os.ReadFile(testList)
	if err != nil {
		s.Fail("tests", "%v", err)
		return
	}
	for line := range strings.Lines(string(list)) {
		path, which, _ := strings.Cut(strings.TrimSpace(line), " ")
		detail, err := runTests(path, which)
		s.Check("tests."+filepath.Base(path), detail, err)
	}
}

func runTests(path, which string) (string, error) {
	cmd := exec.Command(path, "-test.v", "-test.timeout=4m", "-test.run", which)
	cmd.Dir = os.TempDir()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	passed, skipped := strings.Count(out.String(), "--- PASS"), strings.Count(out.String(), "--- SKIP")
	if err == nil && (passed == 0 || skipped > 0) {
		err = fmt.Errorf("%d tests passed, %d were skipped", passed, skipped)
	}
	if err != nil {
		said := strings.ReplaceAll(strings.TrimSpace(out.String()), "\n", " | ")
		return "", fmt.Errorf("%w: %s", err, said[max(0, len(said)-800):])
	}
	return fmt.Sprintf("%d passed: %s", passed, which), nil
}
