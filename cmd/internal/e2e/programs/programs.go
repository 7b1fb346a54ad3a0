package programs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// module is where the programs are.
const module = "github.com/tacet-hub/tacet"

// shipped are the programs that stand side by side where they are installed.
var shipped = []string{"tacet", "tacet-device", "tacet-leader"}

// viewed is the program of the dashboard alone.
var viewed = sync.OnceValues(func() (string, error) { return build("", "tacet-view") })

// dir is the directory of everything that is built.
var dir = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "tacet-programs-") })

// all builds the programs as they are, and answers where they are.
var all = sync.OnceValues(func() (string, error) { return build("", shipped...) })

// Dir is the directory of the programs. Like all functions here it builds what
// nobody has asked for before, which takes seconds, and is safe for concurrent use.
func Dir() (string, error) { return all() }

// Tacet is the path of the hub's program; the test fails where it cannot be built.
func Tacet(t testing.TB) string {
	t.Helper()
	return at(t, all, "tacet")
}

// Device is the path of the device's program.
func Device(t testing.TB) string {
	t.Helper()
	return at(t, all, "tacet-device")
}

// View is the path of the program that serves the dashboard alone.
func View(t testing.TB) string {
	t.Helper()
	return at(t, viewed, "tacet-view")
}

// Version makes a function like [Device], of the device's program as one of a
// release, such as v1.2.0; it is stripped, since it is sent to devices.
func Version(version string) func(testing.TB) string {
	once := sync.OnceValues(func() (string, error) { return build(version, "tacet-device", "tacet-leader") })
	return func(t testing.TB) string {
		t.Helper()
		return at(t, once, "tacet-device")
	}
}

// at is the path of a program in a directory of such.
func at(t testing.TB, in func() (string, error), name string) string {
	t.Helper()
	d, err := in()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(d, name)
}

// build builds programs of cmd into a directory for their version; an empty one
// is what the tree is.
func build(version string, names ...string) (string, error) {
	top, err := dir()
	if err != nil {
		return "", err
	}
	out := filepath.Join(top, "v", version)
	args := []string{"build", "-o", out + string(filepath.Separator)}
	if version != "" {
		args = append(args, "-ldflags", fmt.Sprintf("-s -w -X %s/cmd/internal/release.stamp=tacet-release:%s:", module, version))
	}
	for _, n := range names {
		args = append(args, module+"/cmd/"+n)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return "", err
	}
	if said, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %v %s: %w\n%s", names, version, err, said)
	}
	return out, nil
}

// Remove removes everything that was built.
func Remove() {
	if d, err := dir(); err == nil {
		_ = os.RemoveAll(d) // it is in the directory for what may be lost
	}
}

// Tool is the path of a program of somebody else's; the test fails where it is not
// installed, and names the Debian package.
func Tool(t testing.TB, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing: install the Debian package %s (make test does)", name, debian)
	}
	return path
}
