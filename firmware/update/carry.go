package update

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

// Attempts at a download: so many in a row that bring nothing, after waits that
// double.
const (
	maxAttempts = 8
	firstWait   = time.Second
	longestWait = 30 * time.Second
	maxMoved    = 3 // times that the hub has another release in the middle of it
)

// refused is the reason of an order that was not begun.
type refused struct{ error }

func (r refused) Unwrap() error { return r.error }

// carryOut does what an order asks for, up to the point at which the device is
// to start anew.
func (u *Updater) carryOut(ctx context.Context, o order) {
	ctx, cancel := context.WithTimeout(ctx, orderTime)
	defer cancel()
	st := Status{Phase: Downloading, Order: o.Order, Version: o.Version, Slot: u.cfg.Launched.Slot}
	if !u.committed() {
		u.show(st)
	}
	m, err := u.get(ctx, o)
	for again := 0; again < maxMoved && errors.Is(err, ErrMoved); again++ {
		m, err = u.get(ctx, o)
	}
	if m.Version != "" {
		st.Version = m.Version
	}
	_, no := errors.AsType[refused](err)
	switch {
	case errors.Is(err, ErrOnTrial):
		u.count.refused.Add(1)
		u.log.Warn("update refused", "rule", st.Version, "err", err) // the status is that of the trial
	case errors.Is(err, ErrCurrent):
		u.log.Info("update not needed", "rule", st.Version)
		st.Phase = Confirmed
		u.show(st)
	case no:
		u.count.refused.Add(1)
		u.log.Warn("update refused", "rule", st.Version, "err", err)
		st.Phase, st.Reason = Refused, err.Error()
		u.show(st)
	case err != nil:
		u.count.failed.Add(1)
		u.log.Error("update failed", "rule", st.Version, "err", err)
		st.Phase, st.Reason = Failed, err.Error()
		u.show(st)
	default:
		u.count.staged.Add(1)
		u.log.Info("update staged", "rule", st.Version)
		st.Phase = Staged
		u.show(st)
		u.ask()
	}
}

// committed tells whether another update has gone so far that it has to end
// first.
func (u *Updater) committed() bool { return u.leaving || u.slots.state.Trial != Packaged }

// get asks for the release, judges it, and downloads it into the slot.
func (u *Updater) get(ctx context.Context, o order) (Manifest, error) {
	if u.committed() {
		return Manifest{}, refused{ErrOnTrial}
	}
	r, err := u.release(ctx)
	if err != nil {
		return Manifest{}, err
	}
	m, err := u.cfg.Keys.Verify(r)
	if err != nil {
		return m, refused{err}
	}
	if err := u.judge(m, o); err != nil {
		return m, refused{err}
	}
	held := Held{Release: r, Launcher: u.cfg.Launched.Version, Order: o.Order, Audio: u.cfg.Audio()}
	return m, u.download(ctx, held, m)
}

// judge tells why the release is not for this device now.
func (u *Updater) judge(m Manifest, o order) error {
	if o.Version != "" && o.Version != m.Version {
		return fmt.Errorf("the hub has %s, not %s", m.Version, o.Version)
	}
	if err := m.Fits(u.cfg.Arch, u.running, o.AllowDowngrade); err != nil {
		return err
	}
	if m.Version == u.running {
		return ErrCurrent
	}
	return u.slots.state.Refuses(m)
}

// release asks for the release, several times.
func (u *Updater) release(ctx context.Context) (r Release, err error) {
	err = attempts(ctx, func() (bool, error) {
		r, err = u.source.Release(ctx, u.cfg.Arch)
		return false, err
	})
	return r, err
}

// download gets the program and puts it on trial. What came before it was
// interrupted is gone on with, then or by a later order.
func (u *Updater) download(ctx context.Context, held Held, m Manifest) error {
	p, err := u.slots.begin(held, m)
	if err != nil {
		return err
	}
	err = attempts(ctx, func() (bool, error) {
		before := p.size
		err := u.more(ctx, p)
		return p.size > before, err
	})
	switch {
	case err == nil:
		return p.commit()
	case onDisk(err): // a full one has better use for the room
		return errors.Join(err, p.close(), p.forget())
	}
	return errors.Join(err, p.close())
}

// more reads as much of the program as comes.
func (u *Updater) more(ctx context.Context, p *part) error {
	if p.size == p.m.Size {
		return nil
	}
	body, at, err := u.source.Program(ctx, p.m, p.size)
	if err != nil {
		return err
	}
	defer body.Close()
	if at != p.size {
		if err := p.again(); err != nil {
			return err
		}
	}
	n, err := io.Copy(p, io.TeeReader(body, progress{u, p}))
	u.count.bytes.Add(uint64(n))
	if err == nil && p.size < p.m.Size {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// progress shows how far a download is, in steps of 10 percent.
type progress struct {
	u *Updater
	p *part
}

func (w progress) Write(b []byte) (int, error) {
	st := w.u.Status()
	if percent := int(w.p.size*10/w.p.m.Size) * 10; st.Phase == Downloading && (percent != st.Percent || st.Version != w.p.m.Version) {
		st.Version, st.Percent = w.p.m.Version, percent
		w.u.show(st)
	}
	return len(b), nil
}

// attempts tries until it is done, until that is of no use, or until too many in
// a row have brought nothing.
func attempts(ctx context.Context, try func() (moved bool, err error)) error {
	wait := firstWait
	for n := 1; ; n++ {
		moved, err := try()
		if err == nil || ctx.Err() != nil || hopeless(err) {
			return err
		}
		if moved {
			n, wait = 1, firstWait
		}
		if n == maxAttempts {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait/2 + rand.N(wait/2)):
		}
		wait = min(2*wait, longestWait)
	}
}

// hopeless tells whether another attempt would end in the same way. An error of
// the disk would.
func hopeless(err error) bool {
	for _, e := range []error{ErrNoRelease, ErrMoved, errGone, errDamaged} {
		if errors.Is(err, e) {
			return true
		}
	}
	return onDisk(err)
}
