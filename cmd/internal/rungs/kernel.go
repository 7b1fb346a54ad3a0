//go:build linux

package rungs

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

//go:embed uml.config
var umlConfig []byte

const (
	umlPackage = "linux-source-6.1"
	umlSource  = "/usr/src/linux-source-6.1.tar.xz"
)

// umlEdits are what is changed in the source of the kernel, as sed expressions:
// sound may be chosen (Kconfig alone keeps it away); the clock ticks 250 times a
// second, as that of a Pi does, in place of 100; and the loopback no longer
// overwrites the last samples of a stream that is drained, up to a tick, with the
// silence behind them (clear_capture_buf begins where the copy began), which
// would be taken for a fault of the player.
var umlEdits = [][2]string{
	{"sound/Kconfig", `s/^if !UML/if HAS_IOMEM/`},
	{"arch/um/Kconfig", `/^config HZ$/,/default/s/default 100/default 250/`},
	{"sound/drivers/aloop.c", `s/^\t\t\tbytes = diff;/\t\t\tclear_capture_buf(capt, bytes);\n&/; s/if (clear_bytes > 0) {/if (0) {/`},
}

// Cache is a directory outside of the tree for what takes long to make. Nothing
// in it is changed once it is there; all of it may be removed at any time when
// nobody uses it.
type Cache struct{ Dir string }

// UserCache is tacet in the user's directory of caches (XDG_CACHE_HOME).
func UserCache() (Cache, error) {
	dir, err := os.UserCacheDir()
	return Cache{filepath.Join(dir, "tacet")}, err
}

// make answers the path of name in the cache. Where it is not there, fill makes
// it in a new directory, which becomes name when it succeeds. Two processes do
// not make the same at once. It blocks as long as fill does.
func (c Cache) make(name string, fill func(dir string) error) (string, error) {
	path := filepath.Join(c.Dir, name)
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	if _, err := os.Stat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	dir, err := os.MkdirTemp(c.Dir, "making-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := fill(dir); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return path, os.Rename(dir, path)
}

// hashed is a name that changes with what the thing is made of.
func hashed(name string, of ...[]byte) string {
	return fmt.Sprintf("%s-%x", name, sha256.Sum256(bytes.Join(of, []byte{0})))[:len(name)+13]
}

// UML is the path of a User-Mode Linux kernel with pins and sound, built once
// (two minutes on two cores) from Debian's source package.
func (c Cache) UML(ctx context.Context) (string, error) {
	version, err := output(ctx, "", "dpkg-query", "-W", "-f", "${Version}", umlPackage)
	if err != nil {
		return "", fmt.Errorf("the source of the kernel is not installed (Debian package %s): %w", umlPackage, err)
	}
	dir, err := c.make(hashed("uml", []byte(version), umlConfig, fmt.Append(nil, umlEdits)), func(dir string) error { return buildUML(ctx, dir) })
	return filepath.Join(dir, "linux"), err
}

// buildUML leaves the kernel and its configuration in dir, and nothing else.
func buildUML(ctx context.Context, dir string) error {
	src := filepath.Join(dir, "src")
	fragment := filepath.Join(dir, "uml.config")
	if err := errors.Join(os.Mkdir(src, 0o755), os.WriteFile(fragment, umlConfig, 0o644)); err != nil {
		return err
	}
	steps := [][]string{{"tar", "-xf", umlSource, "--strip-components=1"}}
	for _, e := range umlEdits {
		steps = append(steps, []string{"sed", "-i", e[1], e[0]})
	}
	steps = append(steps,
		[]string{"make", "ARCH=um", "tinyconfig"},
		[]string{"scripts/kconfig/merge_config.sh", "-m", ".config", fragment},
		[]string{"make", "ARCH=um", "olddefconfig"},
		[]string{"make", "ARCH=um", fmt.Sprintf("-j%d", runtime.NumCPU()), "linux"},
	)
	for i, s := range steps {
		if _, err := output(ctx, src, s[0], s[1:]...); err != nil {
			return err
		}
		if i == len(steps)-2 {
			if err := hasOptions(filepath.Join(src, ".config"), umlConfig); err != nil {
				return err
			}
		}
	}
	err := os.Rename(filepath.Join(src, "linux"), filepath.Join(dir, "linux"))
	return errors.Join(err, os.RemoveAll(src))
}

// hasOptions compares the configuration that make arrived at with what was
// wanted: an option whose conditions do not hold disappears without a word.
func hasOptions(file string, wanted []byte) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	lines := map[string]bool{}
	for l := range strings.Lines(string(raw)) {
		lines[strings.TrimSpace(l)] = true
	}
	var faults []error
	for l := range strings.Lines(string(wanted)) {
		l = strings.TrimSpace(l)
		key, value, found := strings.Cut(l, "=")
		if !found || strings.HasPrefix(l, "#") {
			continue
		}
		if lost := value != "n" && !lines[l]; lost || value == "n" && lines[key+"=y"] {
			faults = append(faults, fmt.Errorf("the kernel does not take %s", l))
		}
	}
	return errors.Join(faults...)
}

// output runs a command in dir and answers what it printed. Its error has the
// end of what it said.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &errs
	cmd.Env = append(os.Environ(), "ARCH=um", "LC_ALL=C")
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, tail(errs.String()+out.String(), 2000))
	}
	return out.String(), nil
}

// tail is the last n bytes of s.
func tail(s string, n int) string {
	s = strings.TrimSpace(s)
	if len(s) > n {
		s = "…" + strings.ToValidUTF8(s[len(s)-n:], "")
	}
	return s
}
