package player

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Config says what is measured.
type Config struct {
	Dir    string        // where directories of its own are made; it must exist
	Settle time.Duration // after the start, before the idle time is measured: what a start leaves behind is not idle
	Idle   time.Duration // how long nothing happens
	Sounds int           // of which it is measured how soon they are heard
	Plays  int           // in a row
	Only   []string      // of Parts; none: all
	Say    func(format string, args ...any)
}

// Parts are the names of what can be measured.
func Parts() []string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

var parts = []struct {
	name string
	run  func(context.Context, Config, string, string) ([]Figure, error)
}{{"size", size}, {"idle", idle}, {"sound", sound}, {"plays", plays}}

// The targets.
const (
	mostSize   = 12.0 // MB of the program
	mostRSS    = 20.0 // MB
	mostCPU    = 1.0  // percent of a core
	mostWear   = 1.0  // MiB to the disk a day
	mostGrant  = 50.0 // ms
	mostOrder  = 300.0
	day        = 24 * time.Hour
	mebi       = 1 << 20
	mega       = 1e6
	boardArch  = "arm64"
	soundsLong = 200 * time.Millisecond
)

// Run measures what cfg says. It builds the programs, and so must run in the
// module's directory; it blocks for some minutes.
func Run(ctx context.Context, cfg Config) (all []Figure, err error) {
	dir, err := os.MkdirTemp(cfg.Dir, "tacet-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cfg.Say("building")
	for _, name := range []string{"tacet", "tacet-device", "tacet-leader"} {
		if err := build(ctx, "./cmd/"+name, filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	for _, p := range parts {
		if len(cfg.Only) > 0 && !slices.Contains(cfg.Only, p.name) {
			continue
		}
		own := filepath.Join(dir, p.name)
		if err := os.Mkdir(own, 0o700); err != nil {
			return all, err
		}
		figures, err := p.run(ctx, cfg, dir, own)
		if err != nil {
			return all, fmt.Errorf("%s: %w", p.name, err)
		}
		all = append(all, figures...)
	}
	return all, nil
}
