//go:build linux

package rungs

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/cmd/internal/rungs/proof"
)

func TestLadder(t *testing.T) {
	for i, r := range Ladder() {
		if r.Number != i || r.Title == "" || r.Limit <= 0 || len(r.Lines) == 0 || r.climb == nil {
			t.Errorf("rung %d is %+v", i, r)
		}
		seen := map[string]bool{}
		for _, l := range r.Lines {
			if seen[l] || strings.Contains(l, " ") {
				t.Errorf("rung %d: line %q", i, l)
			}
			seen[l] = true
		}
	}
}

func TestClimb(t *testing.T) {
	climb := func(err error) func(context.Context, *Site, *proof.Sheet) error {
		return func(_ context.Context, _ *Site, s *proof.Sheet) error {
			s.OK("pin", "high")
			return err
		}
	}
	broken := func(context.Context, *Site) error { return errors.New("no network") }
	for name, c := range map[string]struct {
		r     Rung
		fails int
		says  string
	}{
		"good":              {Rung{Lines: []string{"pin"}, climb: climb(nil)}, 0, "HW ok pin high"},
		"a line is missing": {Rung{Lines: []string{"pin", "tone"}, climb: climb(nil)}, 1, "HW FAIL tone no line came"},
		"an error":          {Rung{Number: 7, Lines: []string{"pin"}, climb: climb(errors.New("two\nlines"))}, 1, "HW FAIL rung7 two | lines"},
		"not fetched":       {Rung{Number: 7, Lines: []string{"pin"}, fetch: broken, climb: climb(nil)}, 2, "HW FAIL rung7 no network"},
		"not installed": {Rung{Number: 7, needs: []need{{"go", "golang"}, {"no-such-command", "nothing"}, {"/no/such/file", "files"}}, climb: climb(nil)}, 1,
			"no-such-command is missing: install the Debian package nothing | /no/such/file is missing: install the Debian package files"},
	} {
		var out strings.Builder
		c.r.Limit = time.Minute
		if n := c.r.Climb(t.Context(), &Site{}, &out); n != c.fails || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: %d failures, want %d; it says\n%s\nwant %q", name, n, c.fails, &out, c.says)
		}
	}
}
