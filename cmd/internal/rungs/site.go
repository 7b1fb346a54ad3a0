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
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "./"+pkg)
	cmd.Dir, cmd.Env = s.Tree, append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s for %s: %w: %s", pkg, arch, err, tail(string(out), 2000))
	}
	s.built[key] = path
	return path, nil
}
