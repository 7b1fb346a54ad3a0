package floors

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
)

var (
	namedTest   = regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w+`)
	namedMutant = regexp.MustCompile(`"[a-z][^"|]*"`)
	testFunc    = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
)

// TestWhatShowsIt: each test and each mutant that the tables of the protocol name is
// there. A row whose test was renamed, or never written, shows nothing.
func TestWhatShowsIt(t *testing.T) {
	root := os.DirFS("../../..")
	tests, mutants := map[string]bool{}, ""
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || len(name) > 1 && d.Name()[0] == '.'):
			return fs.SkipDir
		case !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := fs.ReadFile(root, name)
		for _, m := range testFunc.FindAllSubmatch(text, -1) {
			tests[string(m[1])] = true
		}
		if strings.HasPrefix(name, "broker/arbiter/") || strings.HasPrefix(name, "cmd/internal/simulation/") {
			mutants += string(text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range []string{"broker/arbiter/DESIGN.md", "broker/arbiter/COORDINATION.md"} {
		text, err := fs.ReadFile(root, doc)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			for _, name := range namedTest.FindAllString(line, -1) {
				if !tests[name] {
					t.Errorf("%s:%d: there is no %s", doc, i+1, name)
				}
			}
			_, list, found := strings.Cut(line, "mutant")
			if !found || !strings.HasPrefix(line, "|") {
				continue
			}
			for _, m := range namedMutant.FindAllString(list, -1) {
				if !strings.Contains(mutants, strings.TrimSuffix(m, `"`)) {
					t.Errorf("%s:%d: there is no mutant %s", doc, i+1, m)
				}
			}
		}
	}
}
