package update

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// What was published is served, whole; what is damaged is not.
func TestShelf(t *testing.T) {
	key, s := newKey(t), NewShelf(filepath.Join(t.TempDir(), "updates"))
	if _, _, err := s.Release("linux-arm64"); !errors.Is(err, ErrNoRelease) {
		t.Errorf("an empty shelf: %v", err)
	}
	if list := s.Releases(); len(list) != 0 {
		t.Errorf("an empty shelf has %v", list)
	}
	publish := func(version string) Manifest {
		m := manifestOf(version, script(version))
		must(t, s.Publish(release(t, key, m), bytes.NewReader(script(version))))
		return m
	}
	served := func(m Manifest) error {
		f, err := s.Program(m)
		if err != nil {
			return err
		}
		defer f.Close()
		b, err := io.ReadAll(f)
		if err == nil && !bytes.Equal(b, script(m.Version)) {
			err = errors.New("it is another program")
		}
		return err
	}
	old := publish("v1.1.0")
	must(t, served(old))
	fresh := publish("v1.2.0")
	must(t, served(fresh))
	must(t, served(fresh)) // known by now
	if err := served(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the program before: %v", err)
	}
	if _, m, err := s.Release(Arch()); err != nil || m != fresh {
		t.Errorf("%+v, %v", m, err)
	}
	if list := s.Releases(); len(list) != 1 || list[0] != fresh {
		t.Errorf("the shelf has %v", list)
	}

	other := manifestOf("v1.3.0", script("v1.3.0"))
	for name, program := range map[string][]byte{"another": script("v1.2.0"), "shorter": script("v1.3.0")[:100], "longer": append(script("v1.3.0"), 'x')} {
		if err := s.Publish(release(t, key, other), bytes.NewReader(program)); !errors.Is(err, errDamaged) {
			t.Errorf("%s program: %v", name, err)
		}
	}
	must(t, served(fresh))
	path := filepath.Join(s.Dir(), programName(fresh))
	b, err := os.ReadFile(path)
	must(t, err)
	b[9] ^= 1
	must(t, os.WriteFile(path, b, 0o600))
	if err := served(fresh); !errors.Is(err, errDamaged) {
		t.Errorf("a flipped bit: %v", err)
	}
	must(t, os.WriteFile(filepath.Join(s.Dir(), Arch()+".json"), []byte(`{"manifest":"{`), 0o600))
	if _, _, err := s.Release(Arch()); err == nil || errors.Is(err, ErrNoRelease) {
		t.Errorf("a torn release: %v", err)
	}
	for _, bad := range []string{"", "..", "../x", "linux", "linux-arm64/..", "LINUX-ARM64"} {
		if _, _, err := s.Release(bad); !errors.Is(err, ErrNoRelease) {
			t.Errorf("arch %q: %v", bad, err)
		}
	}
	left, err := os.ReadDir(s.Dir())
	if err != nil || len(left) != 2 {
		t.Errorf("%v, %v is left", left, err)
	}
}
