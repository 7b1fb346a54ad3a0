//go:build linux

package rungs

import (
	"context"
	"errors"
	"fmt"

	"github.com/tacet-hub/tacet/cmd/internal/rungs/proof"
)

// sdFaults are what the kernel says when QEMU's SD controller (bcm2835_sdhost.c,
// 7.2) has failed, and nothing else makes it say. That controller raises its
// interrupt with each word of a block that is read, also with the last: one too
// many. On several processors Linux may take it for the first one of the next
// request. Then a command's interrupt is lost, for which the driver waits 10 s, or
// words go into the FIFO too early, which a reset does not empty, and everything
// that is written later is written some words further on. A real controller has no
// such interrupt. On one processor it is over before a next request can begin,
// which is why [StartPi] has no more.
var sdFaults = []string{
	"3f202000.mmc: timeout waiting for hardware interrupt",
	"3f202000.mmc: fsm ",
	"3f202000.mmc: PIO ",
	"3f202000.mmc: previous command",
}

// mostCards is how many cards are tried in all where QEMU's SD controller fails.
const mostCards = 3

// errEmulator is the cause of the end of a climb that proves nothing.
var errEmulator = errors.New("QEMU's SD controller has failed, not the card")

// withCards has climb climb with a card. Where the console tells, which broken
// hears, that the emulator has failed, what is on that card proves nothing: the
// climb is ended and there is another with a fresh card, [mostCards] in all. How
// often that was is the line card.emulator.
func withCards(ctx context.Context, sheet *proof.Sheet, climb func(ctx context.Context, broken func(line string)) error) error {
	for n := 1; ; n++ {
		one, end := context.WithCancelCause(ctx)
		err := climb(one, func(line string) { end(fmt.Errorf("%w: %s", errEmulator, line)) })
		why := context.Cause(one)
		end(nil)
		switch {
		case !errors.Is(why, errEmulator):
			sheet.OK("card.emulator", "%d of %d cards were lost by QEMU's SD controller", n-1, n)
			return err
		case n == mostCards:
			sheet.Fail("card.emulator", "%d of %d cards: %v", n, n, why)
			return err
		}
		sheet.Again("%v: a fresh card, the %d. of %d", why, n+1, mostCards)
	}
}
