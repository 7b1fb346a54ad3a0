//go:build linux

package rungs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// hostArch is the architecture of this machine.
const hostArch = runtime.GOARCH

// Site is where a climb happens: the tree, a directory that is removed
// afterwards, and the cache. Its methods are for one goroutine.
type Site struct {
	Tree  string // root of the repository
	Work  string // directory of this run
	Cache Cache

	built map[string]string
}

// NewSite finds the tree around the working directory and makes a directory for
// this run, which Close removes.
func NewSite(ctx context.Context) (*Site, error) {
	mod, err := output(ctx, "", "go", "env", "GOMOD")
	if err != nil {
		return nil, err
	}
	cache, err := UserCache()
	if err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp("", "tacet-rungs-")
	return &Site{Tree: filepath.Dir(strings.TrimSpace(mod)), Work: work, Cache: cache, built: map[string]string{}}, err
}

// Close removes the directory of this run.
func (s *Site) Close() error { return os.RemoveAll(s.Work) }

// dir makes an empty directory in that of this run.
func (s *Site) dir(name string) (string, error) { return os.MkdirTemp(s.Work, name+"-") }

// program builds a static program of the tree for an architecture of Linux, once
// in a run, and answers its path.
func (s *Site) program(ctx context.Context, pkg, arch string) (string, error) {
	key := pkg + " " + arch
	if path := s.built[key]; path != "" {
		return path, nil
	}
	path := filepath.Join(s.Work, filepath.Base(pkg)+"-"+arch)
	if err := s.build(ctx, arch, "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "./"+pkg); err != nil {
		return "", fmt.Errorf("build %s for %s: %w", pkg, arch, err)
	}
	s.built[key] = path
	return path, nil
}

// tests builds the tests of a package and answers the path of their program.
func (s *Site) tests(ctx context.Context, pkg, arch string) (string, error) {
	path := filepath.Join(s.Work, strings.ReplaceAll(pkg, "/", "-")+"-"+arch+".test")
	if err := s.build(ctx, arch, "test", "-c", "-ldflags", "-s -w", "-o", path, "./"+pkg); err != nil {
		return "", fmt.Errorf("build the tests of %s for %s: %w", pkg, arch, err)
	}
	return path, nil
}

// build runs the go command for an architecture of Linux.
func (s *Site) build(ctx context.Context, arch string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = s.Tree, append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, tail(string(out), 2000))
	}
	return nil
}
