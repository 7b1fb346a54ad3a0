package nets

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// long makes faults last as long as they do in the field, and not just until
// somebody has noticed.
var long = flag.Bool("nets.long", false, "faults that last for 45 s and more")

// atOnce is how many tests run side by side: they wait for most of their time.
const atOnce = "6"

// built is the directory of the programs.
var built = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "tacet-nets-") })

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", atOnce); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	code := m.Run()
	if dir, err := built(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// program builds a program of cmd once, for all tests that ask for it.
func program(name string) func(testing.TB) string {
	once := sync.OnceValues(func() (string, error) {
		dir, err := built()
		if err != nil {
			return "", err
		}
		path := filepath.Join(dir, name)
		out, err := exec.Command("go", "build", "-o", path, "../../../"+name).CombinedOutput()
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
	tacet       = program("tacet")
	tacetDevice = program("tacet-device")
)

// tool is the path of a program of another's; the test fails where it is not
// installed.
func tool(t testing.TB, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing: install the Debian package %s (make test does)", name, debian)
	}
	return path
}
