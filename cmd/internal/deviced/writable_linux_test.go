package deviced

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// What is writable already is written, and what went wrong is told. That a file
// system is mounted read only again is shown on the card itself: configs/image,
// TestJoins.
func TestWritable(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "tacet.yaml")
	if err := writable(dir, func() error { return os.WriteFile(file, []byte("x"), 0o600) }); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "x" {
		t.Errorf("the file has %q, %v", text, err)
	}
	want := errors.New("no room")
	if err := writable(dir, func() error { return want }); !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
	gone := filepath.Join(dir, "gone")
	if err := writable(gone, func() error { return os.WriteFile(filepath.Join(gone, "x"), nil, 0o600) }); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory that is not there: %v", err)
	}
}

func TestMountFlags(t *testing.T) {
	const safe = unix.MS_NOATIME | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	for name, c := range map[string]struct {
		told int64
		want uintptr
	}{
		"none":              {0, 0},
		"the card's":        {unix.ST_RDONLY | unix.ST_NOATIME | unix.ST_NOSUID | unix.ST_NODEV | unix.ST_NOEXEC, safe},
		"Raspberry Pi OS's": {unix.ST_RELATIME, unix.MS_RELATIME},
	} {
		if got := mountFlags(c.told); got != c.want {
			t.Errorf("%s: %#x, want %#x", name, got, c.want)
		}
	}
}
