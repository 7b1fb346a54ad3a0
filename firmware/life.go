package firmware

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/turn"
)

// Run is the device until ctx ends, or [Agent.End] is called: then it stops
// sounding, gives back what it was to do, says that it is offline, and returns
// nil, or what End was given, within 3 s. It fails where the loudspeaker cannot
// be opened, and with [ErrPanic]. It runs the uplink, after the tail of the
// loudspeaker: a new start tells the hub that the one before is dead, and what
// that one had written may sound for so long.
func (a *Agent) Run(ctx context.Context) error {
	defer a.off()
	defer func() { a.work.Wait(); a.dropJobs() }()
	var end context.CancelFunc
	a.renderer, end = context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	a.spawn(func() { a.guard(a.renderer) })
	if err := a.open(); err != nil {
		return err
	}
	if pause(ctx, a.Player.Tail()) != nil {
		return a.Memory.Ended(area.BootOrderly)
	}
	for range 2 {
		a.spawn(a.render)
	}
	for range fetchers {
		a.spawn(a.fetch)
	}
	a.spawn(a.load)
	a.spawn(a.loadBeside)
	cancel, err := a.listen()
	if err != nil {
		return err
	}
	defer cancel()
	if a.unlisten, err = a.listenIn(a.area); err != nil {
		return err
	}
	defer func() { a.unlisten() }()
	a.began = a.now()
	a.wake = time.NewTimer(0)
	defer a.wake.Stop()
	return a.linkedUp(ctx)
}

// open opens the loudspeaker; in safe mode nothing is to sound.
func (a *Agent) open() error {
	if a.cfg.Start.Safe {
		return nil
	}
	return a.Player.Open(a.cfg.Rate, 1)
}

// End ends Run as the end of its context does; it answers err then. The first
// call counts. It does not block.
func (a *Agent) End(err error) {
	select {
	case a.ends <- err:
	default:
	}
}

// linkedUp is the owner with its uplink, which ends after it, when the last
// words are sent.
func (a *Agent) linkedUp(ctx context.Context) error {
	link, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	failed := make(chan error, 1)
	a.spawn(func() {
		defer close(failed)
		failed <- a.Uplink.Run(link)
	})
	a.own(ctx)
	select {
	case a.verdict = <-a.died: // it was the owner, or the last one out
	case a.verdict = <-a.ends: // said at the last moment
	default:
	}
	a.farewell()
	end()
	return errors.Join(a.verdict, a.kept(), <-failed)
}

// kept keeps on the disk how the run has ended.
func (a *Agent) kept() error {
	a.keepTime()
	switch {
	case errors.Is(a.verdict, ErrPanic):
		return nil // the next start is to see a crash
	case errors.Is(a.verdict, ErrRestart):
		return a.Memory.Ended(endRestart)
	case errors.Is(a.verdict, ErrUpdate):
		return a.Memory.Ended(area.BootUpdate)
	}
	return a.Memory.Ended(area.BootOrderly)
}

// own is the loop of the owner.
func (a *Agent) own(ctx context.Context) {
	defer a.caught()
	stop := ctx.Done()
	for !a.gone() {
		select {
		case f := <-a.inbox:
			f()
		case <-a.links:
			a.linked()
		case e := <-a.over:
			a.ended(e)
		case r := <-a.made:
			a.soundMade(r)
		case <-a.wake.C:
			a.due()
		case err := <-a.died:
			a.verdict = err
			return
		case err := <-a.ends:
			a.verdict = err
			a.leave()
		case <-stop:
			stop = nil
			a.leave()
		}
		a.settle()
		a.shared.rounds.Add(1)
	}
	if a.play != nil {
		a.play.cancel()
	}
}

// leave begins the end: silence, and back with what was not played.
func (a *Agent) leave() {
	if a.leaving {
		return
	}
	a.leaving, a.leaveBy = true, a.now().Add(leaveTime)
	clear(a.offers)
	for _, i := range slices.Clone(a.queue) {
		if i != a.current {
			a.decline(i, "")
		}
	}
	a.step(turn.Withdraw{Result: area.Stopped})
}

// gone tells whether the owner may end: nothing sounds, and the hub knows, or
// has had its time.
func (a *Agent) gone() bool {
	if !a.leaving || a.play != nil && a.now() < a.leaveBy {
		return false
	}
	return a.turn.Phase() == turn.Idle || !a.link.up || a.now() >= a.leaveBy
}

// off is the way out: silence, everything switched off.
func (a *Agent) off() {
	a.quiet.Do(func() {
		if err := errors.Join(a.Beacon.Close(), a.Player.Close()); err != nil {
			a.Log.Error("hardware not switched off", "err", err)
		}
	})
}
