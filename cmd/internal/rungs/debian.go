//go:build linux

package rungs

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Debian is a stock kernel of Debian for arm64, with the modules that the ladder
// needs.
type Debian struct {
	Kernel  string
	Modules []string // files, each behind those that it needs
}

// debianModules are loaded in this order; what they need is found in them.
var debianModules = []string{"virtio_mmio", "virtio_pci", "virtio_net", "configfs", "snd-aloop", "softdog"}

// DebianARM64 fetches the kernel of the release of Debian that this machine
// runs, by apt with directories of its own: it needs no rights, and leaves the
// machine's architectures alone.
func (c Cache) DebianARM64(ctx context.Context) (Debian, error) {
	dir, err := c.make(hashed("debian-arm64", []byte(strings.Join(debianModules, " "))), func(dir string) error { return fetchDebian(ctx, dir) })
	if err != nil {
		return Debian{}, err
	}
	order, err := os.ReadFile(filepath.Join(dir, "order"))
	d := Debian{Kernel: filepath.Join(dir, "vmlinuz")}
	for _, name := range strings.Fields(string(order)) {
		d.Modules = append(d.Modules, filepath.Join(dir, name))
	}
	return d, err
}

// fetchDebian leaves in dir the kernel, the modules, and the order of these.
func fetchDebian(ctx context.Context, dir string) error {
	apt := filepath.Join(dir, "apt")
	for _, d := range []string{"state/lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(apt, d), 0o755); err != nil {
			return err
		}
	}
	options := []string{"-q", "-o", "Dir::State=" + apt + "/state", "-o", "Dir::State::status=/dev/null", "-o", "Dir::Cache=" + apt + "/cache",
		"-o", "APT::Architecture=arm64", "-o", "APT::Architectures::=arm64", "-o", "APT::Sandbox::User=", "-o", "Debug::NoLocking=1"}
	run := func(name string, args ...string) (string, error) {
		return output(ctx, apt, name, append(append([]string{}, options...), args...)...)
	}
	if _, err := run("apt-get", "update"); err != nil {
		return err
	}
	depends, err := run("apt-cache", "depends", "linux-image-arm64")
	if err != nil {
		return err
	}
	_, image, _ := strings.Cut(depends, "Depends: ")
	image, _, _ = strings.Cut(image, "\n")
	if !strings.HasPrefix(image, "linux-image-") {
		return fmt.Errorf("linux-image-arm64 depends on no kernel: %q", depends)
	}
	if _, err := run("apt-get", "download", image); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(apt, "*.deb"))
	if err != nil || len(debs) != 1 {
		return errors.Join(err, fmt.Errorf("%d packages were fetched for %s", len(debs), image))
	}
	root := filepath.Join(apt, "root")
	if _, err := output(ctx, apt, "dpkg-deb", "-x", debs[0], root); err != nil {
		return err
	}
	version := strings.TrimPrefix(image, "linux-image-")
	if err := os.Rename(filepath.Join(root, "boot", "vmlinuz-"+version), filepath.Join(dir, "vmlinuz")); err != nil {
		return err
	}
	order, err := pickModules(filepath.Join(root, "lib/modules", version), dir)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "order"), []byte(strings.Join(order, "\n")), 0o644)
	}
	return errors.Join(err, os.RemoveAll(apt))
}

// pickModules moves the wanted modules, and what they need, from a tree of
// modules to a directory, and answers their names in the order of loading.
func pickModules(tree, to string) (order []string, err error) {
	files := map[string]string{}
	err = filepath.WalkDir(tree, func(path string, _ fs.DirEntry, err error) error {
		if name, found := strings.CutSuffix(filepath.Base(path), ".ko"); found {
			files[moduleName(name)] = path
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	done := map[string]bool{}
	var pick func(name string) error
	pick = func(name string) error {
		name = moduleName(name)
		if done[name] {
			return nil
		}
		done[name] = true
		path := files[name]
		if path == "" {
			return fmt.Errorf("the kernel has no module %s", name)
		}
		needs, err := moduleNeeds(path)
		if err != nil {
			return fmt.Errorf("module %s: %w", name, err)
		}
		for _, n := range needs {
			if err := pick(n); err != nil {
				return err
			}
		}
		order = append(order, filepath.Base(path))
		return os.Rename(path, filepath.Join(to, filepath.Base(path)))
	}
	for _, name := range debianModules {
		if err := pick(name); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// moduleName is how modules name each other, whatever their files are called.
func moduleName(s string) string { return strings.ReplaceAll(s, "-", "_") }

// moduleNeeds are the modules that a module names in its section .modinfo.
func moduleNeeds(path string) ([]string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info := f.Section(".modinfo")
	if info == nil {
		return nil, errors.New("it has no .modinfo")
	}
	raw, err := info.Data()
	if err != nil {
		return nil, err
	}
	for entry := range strings.SplitSeq(string(raw), "\x00") {
		if list, found := strings.CutPrefix(entry, "depends="); found && list != "" {
			return strings.Split(list, ","), nil
		}
	}
	return nil, nil
}
