//go:build !race

package arbiter

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The model checker's searches are processes of their own: the race detector
// would show nothing.

// TestModel visits every order of events of a small area, as testdata/area.pml
// has it: no two devices sound at once. Without one of the rules, they do.
func TestModel(t *testing.T) {
	for _, search := range []struct {
		name, bounds string
		overlaps     bool
	}{
		{"two starts", "BOOTS=2 CLAIMS=1 CRASHES=1 TOKENS=3", false},
		{"two wishes", "BOOTS=1 CLAIMS=2 CRASHES=1 TOKENS=3", false},
		{"two crashes", "BOOTS=1 CLAIMS=1 CRASHES=2 TOKENS=3", false},
		{"no settling", "BOOTS=1 CRASHES=1 TOKENS=2 NOSETTLE", true},
		{"a lost connection frees", "BOOTS=1 CRASHES=0 TOKENS=2 WILLFREES", true},
		{"boots without order", "BOOTS=2 CRASHES=1 TOKENS=3 ANYBOOT", true},
	} {
		t.Run(search.name, func(t *testing.T) {
			found, states := searchModel(t, "area.pml", strings.Fields(search.bounds))
			t.Logf("%s states, overlap: %t", states, found)
			if found != search.overlaps {
				t.Errorf("an overlap was found: %t, want %t", found, search.overlaps)
			}
		})
	}
}

// TestVotes visits every order of votes in a strict area of two members and a
// hub: no two arbiters have leases alive at once. Without one of the rules, they
// do.
func TestVotes(t *testing.T) {
	for name, search := range map[string]struct {
		without string
		found   bool
	}{
		"all rules": {"NOTHING", false}, "a vote binds nobody": {"FREEVOTES", true}, "a start votes at once": {"NOSTART", true},
		"a lease outlives the votes": {"OUTLIVE", true}, "the hub seconds two": {"TWOSECONDS", true},
	} {
		t.Run(name, func(t *testing.T) {
			found, states := searchModel(t, "votes.pml", []string{search.without})
			t.Logf("%s states, two leases: %t", states, found)
			if found != search.found {
				t.Errorf("two leases were found: %t, want %t", found, search.found)
			}
		})
	}
}

var modelStates = regexp.MustCompile(`(\d+) states, stored`)

// searchModel tells whether what the model asserts can be broken, and how many
// states were visited.
func searchModel(t *testing.T, file string, bounds []string) (found bool, states string) {
	t.Helper()
	model, err := filepath.Abs(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	generate := []string{"-a"}
	for _, b := range bounds {
		generate = append(generate, "-D"+b)
	}
	runIn(t, dir, "spin", append(generate, model)...)
	runIn(t, dir, "gcc", "-w", "-O2", "-DSAFETY", "-DCOLLAPSE", "-DMEMLIM=2000", "-o", "pan", "pan.c")
	out := runIn(t, dir, "./pan", "-m100000")
	m := modelStates.FindStringSubmatch(out)
	if m == nil || strings.Contains(out, "max search depth too small") || strings.Contains(out, "out of memory") {
		t.Fatalf("the search did not come to its end:\n%s", out)
	}
	return strings.Contains(out, "assertion violated"), m[1]
}

func runIn(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v (make test installs what is missing)\n%s", cmd, err, out)
	}
	return string(out)
}
