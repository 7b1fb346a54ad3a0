//go:build linux

package rungs

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/cmd/internal/rungs/proof"
)

// A climb that the emulator has spoilt is climbed again, with what came of it
// forgotten; one that fails by itself is not.
func TestWithCards(t *testing.T) {
	failed := errors.New("no sound")
	for name, c := range map[string]struct {
		spoilt int   // climbs that the emulator spoils
		err    error // of the one that it does not
		climbs int
		fails  int
		says   string
	}{
		"well":           {0, nil, 1, 0, "HW ok card.emulator 0 of 1 cards"},
		"fails":          {0, failed, 1, 1, "HW ok card.emulator 0 of 1 cards"},
		"spoilt once":    {1, nil, 2, 0, "HW ok card.emulator 1 of 2 cards"},
		"spoilt, fails":  {2, failed, 3, 1, "HW ok card.emulator 2 of 3 cards"},
		"always spoilt":  {3, nil, 3, 2, "HW FAIL card.emulator 3 of 3 cards: QEMU's SD controller has failed, not the card: mmc: timeout"},
		"and no further": {4, nil, 3, 2, "HW FAIL card.emulator 3 of 3 cards"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			sheet := proof.New(&out, []string{"card.sounds"})
			climbs := 0
			err := withCards(t.Context(), sheet, func(ctx context.Context, broken func(string)) error {
				if climbs++; climbs <= c.spoilt {
					broken("mmc: timeout")
					<-ctx.Done()
					sheet.Fail("card.sounds", "%v", ctx.Err())
					return nil
				}
				sheet.Check("card.sounds", "660 Hz", c.err)
				return c.err
			})
			if climbs != c.climbs || sheet.Fails() != c.fails || !strings.Contains(out.String(), c.says) {
				t.Errorf("%d climbs, want %d; %d failures, want %d; it says\n%s\nwant %s", climbs, c.climbs, sheet.Fails(), c.fails, &out, c.says)
			}
			if want := c.spoilt < mostCards && c.err != nil; (err != nil) != want {
				t.Errorf("error %v", err)
			}
			if n := strings.Count(out.String(), "AGAIN "); n != c.climbs-1 {
				t.Errorf("it says %d times that it tries again, want %d", n, c.climbs-1)
			}
		})
	}
}
