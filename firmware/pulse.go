package firmware

import (
	"context"
	"fmt"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Pulse is how far the loops of an agent have come.
type Pulse struct {
	Loop    uint64 // rounds of the owner
	Audio   uint64 // steps of the writers: a chunk that was written, a wait for room that is over
	Playing bool   // a writer is at work
}

// Pulse reads how far the loops are. It does not block.
func (a *Agent) Pulse() Pulse {
	return Pulse{Loop: a.shared.rounds.Load(), Audio: a.shared.steps.Load(), Playing: a.shared.writing.Load()}
}

// health judges pulses: it is pure.
type health struct {
	patience    time.Duration
	last        Pulse
	loop, audio area.Instant // when each of them last moved, or was not to
}

// hung takes a pulse, and tells what has made no progress for longer than the
// patience; empty: all is well. Between two pulses of a live owner it goes at
// least one round, since it is asked to.
func (h *health) hung(p Pulse, now area.Instant) string {
	if p.Loop != h.last.Loop {
		h.loop = now
	}
	if !p.Playing || p.Audio != h.last.Audio {
		h.audio = now
	}
	h.last = p
	switch {
	case now.Sub(h.loop) > h.patience:
		return fmt.Sprintf("the agent's loop, for %v", now.Sub(h.loop).Round(time.Second))
	case now.Sub(h.audio) > h.patience:
		return fmt.Sprintf("the audio loop, for %v", now.Sub(h.audio).Round(time.Second))
	}
	return ""
}

// guard feeds the watchdog while the owner and the writer make progress, and
// notes that the start was good. What hangs is written down before the watchdog
// ends the run.
func (a *Agent) guard(ctx context.Context) {
	every := a.cfg.FeedEvery
	now := a.now()
	h, good, sick := health{patience: 2 * every, loop: now, audio: now}, now.Add(goodAfter), ""
	kept := area.Instant(0) // when the time was; 0: it was not known yet
	for pause(ctx, every) == nil {
		now := a.now()
		hung := h.hung(a.Pulse(), now)
		if hung == "" {
			a.feed()
		}
		if (hung == "") != (sick == "") {
			sick = hung
			a.hangs(hung)
		}
		if good != area.Never && now >= good {
			good = area.Never
			a.good()
		}
		if a.Calendar != nil && a.Calendar.State() != area.ClockUnknown && (kept == 0 || now >= kept.Add(timeEvery)) {
			kept = now
			a.keepTime()
		}
		a.enqueue(func() {}) // a round of the owner
	}
}

// good notes that this start did not fail.
func (a *Agent) good() {
	err := a.Memory.Good()
	if a.fault("memory", err); err != nil {
		a.Log.Error("start not noted as good", "err", err)
	}
}

// feed feeds the watchdog.
func (a *Agent) feed() {
	if a.Watchdog == nil {
		return
	}
	a.count.feeds.Add(1)
	if err := a.Watchdog.Feed(); err != nil {
		a.Log.Error("watchdog not fed", "err", err)
	}
}

// hangs notes what hangs, or that it goes on.
func (a *Agent) hangs(hung string) {
	if hung != "" {
		a.count.hangs.Add(1)
		a.Log.Error("no progress, the watchdog is not fed", "err", hung)
	} else {
		a.Log.Warn("progress again, the watchdog is fed")
	}
	if err := a.Memory.Hung(hung); err != nil {
		a.Log.Error("hang not noted", "err", err)
	}
}
