package update

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Phase is where an update is.
type Phase string

// The phases. An order ends in one of the last three.
const (
	Idle        Phase = "idle"        // there was none
	Downloading Phase = "downloading" // the program comes, or is checked
	Staged      Phase = "staged"      // it is whole, and the device is about to start with it
	Trial       Phase = "trial"       // it runs, and has not shown yet that it is well
	Confirmed   Phase = "confirmed"   // it runs, and is well
	Failed      Phase = "failed"      // the device runs what it ran before
	Refused     Phase = "refused"     // the device did not begin
)

// Status is where the newest update is, for people and for the hub.
type Status struct {
	Phase   Phase
	Version string // the new one
	Order   string // by which it came; empty: none said so
	Percent int    // of Downloading, in steps of 10
	Reason  string // of Failed and Refused
	Slot    Slot   // that the device runs from
}

// Config says what is updated.
type Config struct {
	Dir      string // of the slots
	Keys     Keys   // whose releases are believed; needed
	Version  string // of the program that runs, as it was built
	Launched Launched
	Arch     string        // empty: that of this program
	Trial    time.Duration // 0: TrialTime
	Audio    func() bool   // tells whether audio is well, when an update is staged; nil: it is
	Changed  func()        // called after each change of the status; must not block; nil: nobody
}

// Validate tells everything that is wrong with c at once.
func (c Config) Validate() error {
	var faults []error
	for _, f := range []struct {
		bad  bool
		text string
	}{
		{c.Dir == "", "there is no directory"}, {len(c.Keys) == 0, "there is no key"},
		{c.Launched.Launcher == "", "it is not known how this program was started"},
		{c.Arch != "" && !IsArch(c.Arch), "arch is not such as linux-arm64"}, {c.Trial < 0, "trial is negative"},
	} {
		if f.bad {
			faults = append(faults, errors.New("update: "+f.text))
		}
	}
	return errors.Join(faults...)
}

// Updater carries out the orders to update. Make it with [New]. All methods but
// Run are safe for concurrent use and do not block.
type Updater struct {
	cfg     Config
	slots   *Slots
	source  Source
	log     *slog.Logger
	orders  chan order
	well    chan struct{}
	restart chan struct{}
	count   counters
	running string // version, by the slot's manifest where it has one
	audio   bool   // has to be well before the trial can end well
	leaving bool   // the process is to start anew; Run's

	mu     sync.Mutex
	status Status
}

type counters struct{ orders, refused, dropped, failed, confirmed, staged, bytes atomic.Uint64 }

// Stats counts what an [Updater] has done since it was made.
type Stats struct {
	Orders    uint64 // taken
	Dropped   uint64 // orders for which there was no room, or that could not be read
	Refused   uint64
	Failed    uint64 // downloads, and trials
	Staged    uint64
	Confirmed uint64
	Bytes     uint64 // downloaded
}

// order is what an operator asks for.
type order struct {
	Order          string `json:"order"`
	Version        string `json:"version"` // empty: what the hub has
	AllowDowngrade bool   `json:"allow_downgrade"`
}

// The bounds of an order.
const (
	maxOrder  = 4 << 10 // bytes
	maxID     = 128     // bytes of its id
	orderTime = time.Hour
)

// Errors of [Updater.Order].
var (
	ErrBadOrder = errors.New("order cannot be read")
	ErrBusy     = errors.New("an order waits already")
)

// New makes an updater over the slots. It starts nothing.
func New(cfg Config, source Source, log *slog.Logger) (*Updater, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Arch == "" {
		cfg.Arch = Arch()
	}
	if cfg.Trial == 0 {
		cfg.Trial = TrialTime
	}
	if cfg.Audio == nil {
		cfg.Audio = func() bool { return true }
	}
	if cfg.Changed == nil {
		cfg.Changed = func() {}
	}
	s, err := OpenSlots(cfg.Dir)
	if err != nil {
		return nil, err
	}
	u := &Updater{cfg: cfg, slots: s, source: source, log: log, running: cfg.Version,
		orders: make(chan order, 1), well: make(chan struct{}, 1), restart: make(chan struct{}, 1)}
	if at := cfg.Launched.Slot; at != Packaged {
		u.running, u.audio = s.state.In(at).Manifest().Version, s.state.In(at).Audio
	}
	u.status = u.begun()
	return u, nil
}

// begun is the status at the start.
func (u *Updater) begun() Status {
	s, at := u.slots.state, u.cfg.Launched.Slot
	if at != Packaged && at == s.Trial {
		return Status{Phase: Trial, Version: u.running, Order: s.In(at).Order, Slot: at}
	}
	if s.Last.Result == "" {
		return Status{Phase: Idle, Slot: at}
	}
	return Status{Phase: s.Last.Result, Version: s.Last.Version, Order: s.Last.Order, Reason: s.Last.Reason, Slot: at}
}

// Status is where the newest update is.
func (u *Updater) Status() Status {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.status
}

// NeedsAudio tells whether audio has to be well before [Updater.Healthy] may be
// called: it was when the program on trial was staged.
func (u *Updater) NeedsAudio() bool {
	return u.audio && u.Status().Phase == Trial
}

// Healthy says that the device is in touch with the hub, and is well. It counts
// once.
func (u *Updater) Healthy() {
	select {
	case u.well <- struct{}{}:
	default:
	}
}

// Restart tells when the process is to become the launcher, at the next moment
// that suits.
func (u *Updater) Restart() <-chan struct{} { return u.restart }

// Stats is what was counted so far.
func (u *Updater) Stats() Stats {
	c := &u.count
	return Stats{Orders: c.orders.Load(), Dropped: c.dropped.Load(), Refused: c.refused.Load(), Failed: c.failed.Load(),
		Staged: c.staged.Load(), Confirmed: c.confirmed.Load(), Bytes: c.bytes.Load()}
}

// Order takes an order: {"order":"u-1","version":"v1.4.0","allow_downgrade":false},
// in which every key may be left out, as may all of it. Its error is ErrBadOrder,
// or ErrBusy where one waits already.
func (u *Updater) Order(payload []byte) error {
	var o order
	if len(payload) > maxOrder || len(payload) > 0 && json.Unmarshal(payload, &o) != nil || len(o.Order) > maxID || len(o.Version) > maxID {
		u.count.dropped.Add(1)
		return ErrBadOrder
	}
	select {
	case u.orders <- o:
		u.count.orders.Add(1)
		return nil
	default:
		u.count.dropped.Add(1)
		return ErrBusy
	}
}

// Run takes orders, and sees the trial through, until ctx ends; then it returns
// nil.
func (u *Updater) Run(ctx context.Context) error {
	u.settle()
	up := time.NewTimer(u.cfg.Trial)
	defer up.Stop()
	for {
		select {
		case <-ctx.Done():
			u.lasted()
			return nil
		case <-u.well:
			u.healthy()
		case <-up.C:
			u.overdue()
		case o := <-u.orders:
			u.carryOut(ctx, o)
		}
	}
}

// settle brings the state into line with what was started: a trial that the
// launcher could not count, and so did not start, is over, and so is that of a
// program that says that it is another version than was signed: what the hub is
// told, and what a newer package is compared with, would be wrong for good.
func (u *Updater) settle() {
	s := u.slots.state
	if s.Trial != Packaged && s.Trial != u.cfg.Launched.Slot {
		u.keep(s.Broken(s.Trial, "it could not be started"))
		u.show(u.begun())
	}
	if u.Status().Phase == Trial && u.cfg.Version != u.running {
		u.back("it says that it is " + u.cfg.Version)
	}
}

// healthy confirms the program, if it is on trial.
func (u *Updater) healthy() {
	if u.Status().Phase != Trial || u.leaving {
		return
	}
	if err := u.slots.Keep(u.slots.state.Healthy()); err != nil {
		u.log.Error("update not confirmed", "err", err) // the trial goes on after the next start
		return
	}
	u.count.confirmed.Add(1)
	u.log.Info("update confirmed", "rule", u.running)
	u.show(u.begun())
}

// overdue ends a trial that has taken too long; another program has lasted.
func (u *Updater) overdue() {
	if u.Status().Phase != Trial {
		u.lasted()
		return
	}
	if !u.leaving {
		u.back(fmt.Sprintf("it was not healthy %v after its start", u.cfg.Trial))
	}
}

// back leaves the program on trial for good.
func (u *Updater) back(reason string) {
	u.count.failed.Add(1)
	u.log.Error("update failed, going back", "rule", u.running, "err", reason)
	u.keep(u.slots.state.Sick(reason))
	u.ask()
}

// lasted says that the program, unless it is on trial, did not end by itself
// soon after its start.
func (u *Updater) lasted() {
	s := u.slots.state
	if at := u.cfg.Launched.Slot; at != Packaged && at == s.Current && s.Starts != 0 {
		u.keep(s.Lasted())
	}
}

func (u *Updater) keep(s State) {
	if err := u.slots.Keep(s); err != nil {
		u.log.Error("update state not kept", "err", err)
	}
}

// ask wants the process to start anew.
func (u *Updater) ask() {
	u.leaving = true
	select {
	case u.restart <- struct{}{}:
	default:
	}
}

func (u *Updater) show(s Status) {
	u.mu.Lock()
	changed := s != u.status
	u.status = s
	u.mu.Unlock()
	if changed {
		u.cfg.Changed()
	}
}
