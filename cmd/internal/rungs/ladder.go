//go:build linux

package rungs

import (
	"context"
	"fmt"
	"io"
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
	fetch  func(ctx context.Context, s *Site) error
	climb  func(ctx context.Context, s *Site, sheet *proof.Sheet) error
}

// Ladder is every rung, from the bottom.
func Ladder() []Rung {
	return []Rung{rung0, rung1, rung2, rung3, rung4}
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
	if r.fetch != nil {
		if err := r.fetch(ctx, s); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, r.Limit)
	defer cancel()
	return r.climb(ctx, s, sheet)
}
