//go:build linux

package rungs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/tacet-hub/tacet/cmd/internal/rungs/proof"
)

// module is what the paths of our packages begin with.
const module = "github.com/tacet-hub/tacet/"

// tests is a run of go test.
type tests struct {
	env   []string
	args  []string // of go test, beside -json
	each  bool     // a line for each test, not for each package
	count map[string]int
	said  map[string][]string
}

// event is a line of go test -json (cmd/test2json).
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

// run writes a line for each package that has tests, or for each test. A test
// that was skipped is a failure.
func (t *tests) run(ctx context.Context, tree string, sheet *proof.Sheet) error {
	t.count, t.said = map[string]int{}, map[string][]string{}
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, t.args...)...)
	var errs bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stderr = tree, append(os.Environ(), t.env...), &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	failed := false
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) == nil {
			failed = t.take(e, sheet) || failed
		}
	}
	if err := cmd.Wait(); err != nil && !failed {
		return fmt.Errorf("go test: %w: %s", err, tail(errs.String(), 2000)) // not built
	}
	return lines.Err()
}

// take writes the line of what has ended and tells whether it failed.
func (t *tests) take(e event, sheet *proof.Sheet) (failed bool) {
	pkg := strings.TrimPrefix(e.Package, module)
	key := name(pkg, e.Test)
	switch e.Action {
	case "output":
		if line := strings.TrimSpace(e.Output); !strings.HasPrefix(line, "=== ") {
			said := append(t.said[key], line)
			t.said[key] = said[max(0, len(said)-maxTold):]
		}
		return false
	case "pass", "fail", "skip":
	default:
		return false
	}
	said := strings.Join(t.said[key], " | ")
	delete(t.said, key)
	took := fmt.Sprintf("%.1f s", e.Elapsed)
	switch {
	case e.Action == "skip" && e.Test == "":
		return false // it has no tests
	case e.Action == "skip":
		sheet.Fail(key, "it was skipped: %s", said)
		return true
	case e.Action == "fail" && e.Test != "" && !t.each:
		t.said[pkg] = append(t.said[pkg], said) // for the line of the package
		return true
	case e.Action == "fail":
		sheet.Fail(key, "%s: %s", took, said)
		return true
	case e.Test != "":
		if t.count[pkg]++; t.each && !strings.Contains(e.Test, "/") {
			sheet.OK(key, "%s", took)
		}
	case !t.each:
		sheet.OK(pkg, "%d tests, %s", t.count[pkg], took)
	}
	return false
}

// maxTold is how many lines of a test, or of a package, a failure tells.
const maxTold = 12

// name is that of a test on a sheet.
func name(pkg, test string) string {
	if test == "" {
		return pkg
	}
	return filepath.Base(pkg) + "." + test
}
