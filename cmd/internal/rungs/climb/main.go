//go:build linux

// Climb climbs rungs of the hardware ladder, which package rungs has: those
// whose numbers are given, or all. It prints what each has proved and exits with
// 1 where one has failed, with 2 where a number is none.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/tacet-hub/tacet/cmd/internal/rungs"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ladder, err := chosen(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "climb:", err)
		os.Exit(2)
	}
	if err := climb(ctx, ladder); err != nil {
		fmt.Fprintln(os.Stderr, "climb:", err)
		os.Exit(1)
	}
}

// chosen are the rungs of the numbers.
func chosen(numbers []string) ([]rungs.Rung, error) {
	all := rungs.Ladder()
	if len(numbers) == 0 {
		return all, nil
	}
	var out []rungs.Rung
	for _, s := range numbers {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 || n >= len(all) {
			return nil, fmt.Errorf("%q is no rung; there are 0 to %d", s, len(all)-1)
		}
		out = append(out, all[n])
	}
	return out, nil
}

func climb(ctx context.Context, ladder []rungs.Rung) error {
	site, err := rungs.NewSite(ctx)
	if err != nil {
		return err
	}
	defer site.Close()
	failed := 0
	for _, r := range ladder {
		if r.Climb(ctx, site, os.Stdout) > 0 {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d rungs failed", failed, len(ladder))
	}
	return nil
}
