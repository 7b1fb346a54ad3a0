package e2e

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// silent fails the test where a secret is in the hub's log, or in a file of its
// data directory.
func (m *manned) silent() {
	t := m.program.t
	t.Helper()
	leaks := func(where, text string) {
		for _, s := range m.secrets {
			if strings.Contains(text, s) {
				t.Errorf("%s has a secret: %.200q", where, s)
			}
		}
	}
	leaks("the log", strings.Join(m.errs.since(0), "\n"))
	err := filepath.WalkDir(m.data, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			var b []byte
			b, err = os.ReadFile(path)
			leaks(path, string(b))
		}
		if path != m.data && errors.Is(err, fs.ErrNotExist) {
			return nil // the hub works, and has put another in its place
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
