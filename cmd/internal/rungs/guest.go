//go:build linux

package rungs

import (
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Guest is what is started in a kernel: a first root in memory with a program as
// its first process.
type Guest struct {
	Name    string            // of the guest, for messages
	Init    string            // file of the first process
	Files   map[string]string // path in the guest: file outside; what is executable stays so
	Texts   map[string]string // path in the guest: content
	Modules []string          // files of kernel modules, in the order of loading
	Env     map[string]string // of the first process
	Travel  bool              // in User-Mode Linux: time passes when the guest has nothing to do, and only then
}

// initrd writes the guest's first root to a file.
func (g Guest) initrd(file string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	zip, _ := gzip.NewWriterLevel(f, gzip.BestSpeed) // the level is valid
	a := newArchive(zip)
	if err := g.fill(a); err != nil {
		return err
	}
	return errors.Join(a.close(), zip.Close(), f.Close())
}

func (g Guest) fill(a *archive) error {
	copied := map[string]string{"init": g.Init}
	for to, from := range g.Files {
		copied[strings.TrimPrefix(to, "/")] = from
	}
	var order strings.Builder
	for _, m := range g.Modules {
		to := "modules/" + filepath.Base(m)
		copied[to] = m
		fmt.Fprintf(&order, "/%s\n", to)
	}
	for _, to := range sortedKeys(copied) {
		raw, err := os.ReadFile(copied[to])
		if err != nil {
			return err
		}
		a.file(to, 0o755, raw)
	}
	if order.Len() > 0 {
		a.file("modules/order", 0o644, []byte(order.String()))
	}
	a.file("seed", 0o600, seed())
	for _, to := range sortedKeys(g.Texts) {
		a.file(strings.TrimPrefix(to, "/"), 0o600, []byte(g.Texts[to]))
	}
	return nil
}

// seed is the randomness that a guest begins with: a kernel that has no hardware
// and no past of its own takes 8 s to gather as much, and a device waits for it.
func seed() []byte {
	b := make([]byte, 64)
	_, _ = rand.Read(b) // it never fails
	return b
}

// words are the guest's environment as words of a kernel's command line.
func (g Guest) words() []string {
	var out []string
	for _, key := range sortedKeys(g.Env) {
		out = append(out, key+"="+g.Env[key])
	}
	return out
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// slirp is the network of a guest in User-Mode Linux, which needs no rights.
const slirp = "/usr/bin/slirp-fullbolt"

// StartUML starts a guest in User-Mode Linux. dir is the machine's own. Its
// network is slirp, in which 10.0.2.2 is the loopback of the host. A guest that
// travels in time takes none when it waits, and has all the time that it needs
// when it works, however busy the host is; it must not speak to anybody outside.
func StartUML(ctx context.Context, kernel, dir string, g Guest) (*Machine, error) {
	initrd := filepath.Join(dir, g.Name+".img")
	if err := g.initrd(initrd); err != nil {
		return nil, fmt.Errorf("root of %s: %w", g.Name, err)
	}
	words := g.words()
	if g.Travel {
		words = append(words, "time-travel=inf-cpu")
	}
	argv := append([]string{kernel, "mem=192M", "umid=" + g.Name, "uml_dir=" + dir, "initrd=" + initrd, "rdinit=/init",
		"con=null", "ssl=null", "con0=null,fd:1", "console=tty0", "quiet", "panic=1", "noreboot", "snd_aloop.pcm_substreams=1", "snd_dummy.pcm_substreams=1", "eth0=slirp,," + slirp}, words...)
	return Start(ctx, g.Name, argv...)
}
