//go:build linux

package rungs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestCacheMakesOnce(t *testing.T) {
	c := Cache{filepath.Join(t.TempDir(), "cache")}
	broken := errors.New("no compiler")
	if _, err := c.make("kernel", func(string) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	var made atomic.Int32
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			dir, err := c.make("kernel", func(dir string) error {
				made.Add(1)
				return os.WriteFile(filepath.Join(dir, "linux"), []byte("elf"), 0o755)
			})
			if err != nil {
				t.Error(err)
				return
			}
			if raw, err := os.ReadFile(filepath.Join(dir, "linux")); err != nil || string(raw) != "elf" {
				t.Errorf("%q, %v", raw, err)
			}
		})
	}
	work.Wait()
	if n := made.Load(); n != 1 {
		t.Errorf("made %d times", n)
	}
	if left, _ := filepath.Glob(filepath.Join(c.Dir, "making-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestHashedFollowsItsParts(t *testing.T) {
	a, b := hashed("uml", []byte("x"), []byte("y")), hashed("uml", []byte("xy"))
	if a == b || len(a) != len("uml-")+12 || a != hashed("uml", []byte("x"), []byte("y")) {
		t.Errorf("%s and %s", a, b)
	}
}

func TestLostOptionsAreTold(t *testing.T) {
	file := filepath.Join(t.TempDir(), ".config")
	if err := os.WriteFile(file, []byte("CONFIG_SND=y\n# CONFIG_GPIOLIB is not set\nCONFIG_MODULES=y\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := hasOptions(file, []byte("# sound\nCONFIG_SND=y\nCONFIG_PCI=n\n")); err != nil {
		t.Error(err)
	}
	err := hasOptions(file, []byte("CONFIG_GPIOLIB=y\nCONFIG_MODULES=n\n"))
	if err == nil || !strings.Contains(err.Error(), "CONFIG_GPIOLIB=y") || !strings.Contains(err.Error(), "CONFIG_MODULES=n") {
		t.Errorf("error %v", err)
	}
}

func TestModulesThatAreNone(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := moduleNeeds(self); err == nil || !strings.Contains(err.Error(), ".modinfo") {
		t.Errorf("a program: %v", err)
	}
	if _, err := pickModules(t.TempDir(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "virtio_mmio") {
		t.Errorf("a kernel without modules: %v", err)
	}
}
