package audio

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// player is firmware.Player.
type player interface {
	Open(rate, channels int) error
	Write(samples []byte) (int, error)
	Delay() (time.Duration, error)
	Drain(ctx context.Context) error
	Drop() error
	Close() error
	Tail() time.Duration
}

const (
	stall = 100 * time.Millisecond // in which a loudspeaker takes nothing: what it has is dropped, so that old sound does not come late
	stuck = 900 * time.Millisecond // one that takes nothing for so long is broken
	nap   = 5 * time.Millisecond   // between two looks at it
)

// Way is one way to a loudspeaker.
type Way struct {
	Name   string // for people, such as "alsa"
	Player player // and where it has them, Xruns and Where are asked
}

const (
	firstRetry = time.Second
	mostRetry  = time.Minute // between two tries of a way that does not work
)

// way is what is known of one.
type way struct {
	Way
	err   error         // why it does not work; nil: it does, or was not tried yet
	tried bool          // Open was called, and err says how that went
	wait  time.Duration // between the last try and the next
	due   time.Time     // when it is tried again, if it does not work
}

// Output plays through the first of several ways that works, and falls to the
// next where a play cannot begin. Its methods are those of firmware.Player, of
// which Open does not fail for a way that does not work: there may be one later.
// State and Using may be called by anybody and do not block; Run looks after ways
// that do not work.
type Output struct {
	changed func(State)

	hardware sync.Mutex // held while a way is tried or begins a play

	mu             sync.Mutex
	ways           []*way
	rate, channels int  // rate 0: not open
	using          *way // nil: none works
	told           *way // of which changed was told; nobody at first
	playing        bool
	failed         uint64
	woken          chan struct{} // something has failed: Run looks when to try again
}

// State is how an [Output] is.
type State struct {
	Using  string   // name of the way; empty: none works
	Where  string   // the card or server, as far as known
	Not    []string // why not those before it, each with its name
	Xruns  uint64   // gaps in plays so far
	Failed uint64   // plays that failed, and ways that did when a play began
}

// String is the state in one line.
func (s State) String() string {
	text := "no audio"
	if s.Using != "" {
		text = s.Using
		if s.Where != "" {
			text += ": " + s.Where
		}
	}
	if len(s.Not) > 0 {
		text += " (not " + strings.Join(s.Not, "; not ") + ")"
	}
	return text
}

// NewOutput makes one of ways, the best first. changed, which may be nil, is told
// when it is opened, and when another way is used, or none; it is called by a
// goroutine that plays or runs.
func NewOutput(changed func(State), ways ...Way) *Output {
	o := &Output{changed: changed, told: &way{}, woken: make(chan struct{}, 1)}
	for _, w := range ways {
		o.ways = append(o.ways, &way{Way: w})
	}
	return o
}

// Open tries the ways in turn, up to the first that works.
func (o *Output) Open(rate, channels int) error {
	if rate <= 0 || channels <= 0 {
		return fmt.Errorf("sound: %d Hz and %d channels", rate, channels)
	}
	o.mu.Lock()
	o.rate, o.channels = rate, channels
	o.mu.Unlock()
	defer o.tell()
	o.hardware.Lock()
	defer o.hardware.Unlock()
	for _, w := range o.ways {
		if o.try(w) == nil {
			break
		}
	}
	o.choose()
	return nil
}

// tell says that another way is used than was said last. It is called with no
// lock held.
func (o *Output) tell() {
	o.mu.Lock()
	other := o.told != o.using
	o.told = o.using
	o.mu.Unlock()
	if other && o.changed != nil {
		o.changed(o.State())
	}
}

// try opens a way and notes how that went.
func (o *Output) try(w *way) error {
	o.mu.Lock()
	rate, channels := o.rate, o.channels
	o.mu.Unlock()
	err := w.Player.Open(rate, channels)
	o.note(w, err)
	return err
}

// note takes in that a way works or does not.
func (o *Output) note(w *way, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	w.tried, w.err = true, err
	if err == nil {
		w.wait = 0
		return
	}
	w.wait = min(max(2*w.wait, firstRetry), mostRetry)
	w.due = time.Now().Add(w.wait)
	select {
	case o.woken <- struct{}{}:
	default:
	}
}

// choose uses the first way that works.
func (o *Output) choose() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.using = nil
	for _, w := range o.ways {
		if w.tried && w.err == nil {
			o.using = w
			break
		}
	}
}

// Write hands samples to the way in use. With the first of a play, ways that do
// not begin it are passed over; a way that fails later ends the play, which is an
// error.
func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	playing, using, open := o.playing, o.using, o.rate > 0
	o.mu.Unlock()
	if !open {
		return 0, errors.New("sound: not open")
	}
	if !playing {
		return o.begin(b)
	}
	n, err := using.Player.Write(b)
	if err != nil {
		o.lost(using, err)
	}
	return n, err
}

// begin finds a way for a play: those that work or whose time has come first,
// then the others, which may have come back meanwhile. So a play fails only where
// nothing works, and tries each way once.
func (o *Output) begin(b []byte) (int, error) {
	defer o.tell()
	o.hardware.Lock()
	defer o.hardware.Unlock()
	var faults []error
	for _, w := range o.order() {
		n, err := o.first(w, b)
		if err == nil {
			o.mu.Lock()
			o.playing, o.using = true, w
			o.mu.Unlock()
			return n, nil
		}
		faults = append(faults, err)
	}
	o.choose()
	return 0, fmt.Errorf("no audio: %w", errors.Join(faults...))
}

// first writes the first samples of a play.
func (o *Output) first(w *way, b []byte) (int, error) {
	if !w.tried || w.err != nil {
		if err := o.try(w); err != nil {
			return 0, err
		}
	}
	n, err := w.Player.Write(b)
	if err != nil {
		o.count()
		o.note(w, err)
		_ = w.Player.Drop() // it has failed already
	}
	return n, err
}

func (o *Output) order() []*way {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	var list, later []*way
	for _, w := range o.ways {
		if w.err != nil && now.Before(w.due) {
			later = append(later, w)
		} else {
			list = append(list, w)
		}
	}
	return append(list, later...)
}

// lost takes in that a way has failed in the middle of a play.
func (o *Output) lost(w *way, err error) {
	o.count()
	o.note(w, err)
	_ = o.over(func(p player) error { return p.Drop() }) // it has failed already
	o.choose()
	o.tell()
}

func (o *Output) count() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failed++
}

// over ends a play, in the way that is given.
func (o *Output) over(end func(player) error) error {
	o.mu.Lock()
	playing, w := o.playing, o.using
	o.playing = false
	o.mu.Unlock()
	if !playing {
		return nil
	}
	return end(w.Player)
}

// Delay is that of the way in use.
func (o *Output) Delay() (time.Duration, error) {
	o.mu.Lock()
	playing, w := o.playing, o.using
	o.mu.Unlock()
	if !playing {
		return 0, nil
	}
	d, err := w.Player.Delay()
	if err != nil {
		o.lost(w, err)
	}
	return d, err
}

// Drain blocks until everything was heard, or ctx ends.
func (o *Output) Drain(ctx context.Context) error {
	o.mu.Lock()
	w := o.using
	o.mu.Unlock()
	err := o.over(func(p player) error { return p.Drain(ctx) })
	if err != nil && ctx.Err() == nil {
		o.count()
		o.note(w, err)
		o.choose()
		o.tell()
	}
	return err
}

// Drop forgets what was not heard yet.
func (o *Output) Drop() error {
	return o.over(func(p player) error { return p.Drop() })
}

// Close closes all ways.
func (o *Output) Close() error {
	o.mu.Lock()
	o.rate, o.playing = 0, false
	o.mu.Unlock()
	var faults []error
	for _, w := range o.ways {
		faults = append(faults, w.Player.Close())
	}
	return errors.Join(faults...)
}

// Tail is the longest of all ways.
func (o *Output) Tail() time.Duration {
	var most time.Duration
	for _, w := range o.ways {
		most = max(most, w.Player.Tail())
	}
	return most
}

// Using is the name of the way in use, empty where none works.
func (o *Output) Using() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.using == nil {
		return ""
	}
	return o.using.Name
}

// State is how it is now.
func (o *Output) State() State {
	o.mu.Lock()
	using := o.using
	s := State{Failed: o.failed}
	for _, w := range o.ways {
		if w == using {
			s.Using = w.Name
			break
		}
		if w.err != nil {
			why := strings.TrimPrefix(w.err.Error(), w.Name+": ")
			s.Not = append(s.Not, w.Name+": "+strings.ReplaceAll(why, "\n", "; "))
		}
	}
	o.mu.Unlock()
	for _, w := range o.ways {
		if x, ok := w.Player.(interface{ Xruns() uint64 }); ok {
			s.Xruns += x.Xruns()
		}
	}
	if using != nil {
		if x, ok := using.Player.(interface{ Where() string }); ok {
			s.Where = x.Where()
		}
	}
	return s
}

// Run tries ways that do not work again, after 1 s and then ever more seldom up
// to once a minute, while nothing plays, until ctx ends.
func (o *Output) Run(ctx context.Context) error {
	timer := time.NewTimer(mostRetry)
	defer timer.Stop()
	for {
		if d, any := o.next(); any {
			timer.Reset(d)
		} else {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-o.woken:
		case <-timer.C:
			o.retry()
		}
	}
}

// next is when the next way is due, of those that would be used if they worked.
func (o *Output) next() (d time.Duration, any bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, w := range o.ways {
		if w == o.using {
			break
		}
		if w.err == nil || o.rate == 0 {
			continue
		}
		if left := max(time.Until(w.due), 0); !any || left < d {
			d, any = left, true
		}
	}
	return d, any
}

// retry tries the ways that are due.
func (o *Output) retry() {
	defer o.tell()
	o.hardware.Lock()
	defer o.hardware.Unlock()
	for _, w := range o.ways {
		o.mu.Lock()
		skip, stop := w.err == nil || time.Now().Before(w.due), w == o.using || o.rate == 0
		if o.playing && !skip { // not now
			w.due = time.Now().Add(firstRetry)
			skip = true
		}
		o.mu.Unlock()
		if stop {
			break
		}
		if !skip {
			_ = o.try(w) // noted
		}
	}
	o.mu.Lock()
	playing := o.playing
	o.mu.Unlock()
	if !playing {
		o.choose()
	}
}
