package update

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A program carries another one, once, and what it carries comes out of it whole or
// not at all.
func TestBoth(t *testing.T) {
	dir := t.TempDir()
	one, two, three := []byte("\x7fELF one"), bytes.Repeat([]byte("two "), 1000), []byte("three")
	write := func(b []byte) string {
		path := filepath.Join(dir, "program")
		if err := os.WriteFile(path, b, 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	into := filepath.Join(dir, "into")
	if _, err := Unpack(write(one), into, "other"); !errors.Is(err, ErrCarriesNone) || Carries(one) {
		t.Errorf("it carries none: %v", err)
	}
	both := Join(one, two)
	if !bytes.HasPrefix(both, one) || len(both) > len(one)+500 || !Carries(both) {
		t.Fatalf("%d bytes", len(both))
	}
	if again := Join(both, two); !bytes.Equal(again, both) {
		t.Error("it carries it twice")
	}
	comes := func(b, want []byte) string {
		t.Helper()
		at, err := Unpack(write(b), into, "other")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(at); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if info, err := os.Stat(at); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%v, %v", info, err)
		}
		return at
	}
	at := comes(both, two)
	if err := os.WriteFile(at, []byte("damaged on the disk"), 0o700); err != nil {
		t.Fatal(err)
	}
	comes(both, two)
	if now := comes(Join(both, three), three); now == at {
		t.Error("another version has the same name")
	}
	if _, err := os.Stat(at); err == nil {
		t.Error("the old version is still there")
	}
	for i := len(one); i < len(both); i += 7 { // a byte of what is carried, or of how to find it
		bad := bytes.Clone(both)
		bad[i] ^= 0x40
		if p, err := Unpack(write(bad), into, "other"); err == nil {
			if got, err := os.ReadFile(p); err != nil || !bytes.Equal(got, two) {
				t.Errorf("byte %d: %d bytes come out, %v", i, len(got), err)
			}
		}
	}
	left, err := filepath.Glob(filepath.Join(into, "*.new"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// FuzzJoin: what is joined comes apart again.
func FuzzJoin(f *testing.F) {
	f.Add([]byte("program"), []byte("other"))
	f.Add(Join([]byte("a"), []byte("b")), []byte("c"))
	f.Fuzz(func(t *testing.T, program, other []byte) {
		if len(other) == 0 {
			return
		}
		both := Join(program, other)
		tail, err := carries(bytes.NewReader(both), int64(len(both)))
		if err != nil || tail.Size != int64(len(other)) || !bytes.Equal(Join(both, other), both) {
			t.Errorf("%+v, %v", tail, err)
		}
	})
}
