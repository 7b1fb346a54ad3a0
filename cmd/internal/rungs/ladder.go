//go:build linux

package rungs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/cmd/internal/rungs/proof"
)

// Rung is one step of the ladder.
type Rung struct {
	Number int
	Title  string
	Limit  time.Duration // it is ended then, and has failed; what is fetched or built once does not count
	Lines  []string      // that have to come
	needs  []need
	fetch  func(ctx context.Context, s *Site) error
	climb  func(ctx context.Context, s *Site, sheet *proof.Sheet) error
}

// need is a command, or a file, that a rung has from the machine.
type need struct{ what, debian string }

// missing names everything that is not there, with the package of Debian that
// has it.
func missing(needs []need) error {
	var errs []error
	for _, n := range needs {
		_, err := exec.LookPath(n.what)
		if filepath.IsAbs(n.what) {
			_, err = os.Stat(n.what)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s is missing: install the Debian package %s", n.what, n.debian))
		}
	}
	return errors.Join(errs...)
}

// Ladder is every rung, from the bottom.
func Ladder() []Rung {
	return []Rung{rung0, rung1, rung2, rung3, rung4, rung5}
}

// Climb does what a rung is for, prints what it has proved to out, and tells the
// number of failures. It blocks for [Rung.Limit] at most, and until what it needs
// is in the cache.
func (r Rung) Climb(ctx context.Context, s *Site, out io.Writer) int {
	began := time.Now()
	fmt.Fprintf(out, "== rung %d: %s\n", r.Number, r.Title)
	sheet := proof.New(out, r.Lines)
	if err := r.try(ctx, s, sheet); err != nil {
		sheet.Fail(fmt.Sprintf("rung%d", r.Number), "%s", strings.ReplaceAll(err.Error(), "\n", " | "))
	}
	fmt.Fprintf(out, "== rung %d took %.1f s\n", r.Number, time.Since(began).Seconds())
	return sheet.Close()
}

func (r Rung) try(ctx context.Context, s *Site, sheet *proof.Sheet) error {
	if err := missing(r.needs); err != nil {
		return err
	}
	if r.fetch != nil {
		if err := r.fetch(ctx, s); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, r.Limit)
	defer cancel()
	return r.climb(ctx, s, sheet)
}
