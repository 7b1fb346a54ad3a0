package gpio

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"periph.io/x/conn/v3/gpio"
)

// Pins is where the lines of a board come from: a [Host], or fakes.
type Pins interface {
	// Out is the line for output; it is not driven yet.
	Out(name string) (gpio.PinOut, error)
	// In is the line for input, with a pull, reporting both edges.
	In(name string, pull gpio.Pull) (gpio.PinIn, error)
}

// Board is the switches of a device. Make it with [New]; its methods are safe
// for concurrent use and do not block.
type Board struct {
	amp, lamp, led *Output // nil: there is none
	inputs         []*input
	pins           map[string]string
	ampMost        time.Duration
	count          counters

	changed chan struct{} // state or amplifier; 1 is enough
	mu      sync.Mutex
	state   string
	shown   time.Time // when it began to be shown
	ampOn   time.Time // since when the amplifier is on; zero: it is off
}

type counters struct {
	edges, lost, presses, stuck, gone, ampCut, failed atomic.Uint64
}

// Stats counts what a [Board] has done since it was made.
type Stats struct {
	Edges   uint64 // waits that ended with an edge
	Lost    uint64 // edges for which the kernel's queue had no room
	Presses uint64
	Stuck   uint64 // inputs that were active, or restless, for too long
	Gone    uint64 // lines of inputs that could not be had, or were lost
	AmpCut  uint64 // the amplifier was on for too long, and was switched off
	Failed  uint64 // switchings that failed
}

// New makes a board and takes its lines: each output is low. Lines that cannot
// be had are not an error, [Board.Faults] tells of them. tell hears what happens
// at the inputs, from several goroutines; it only enqueues. It may be nil where
// there is no input. Nothing is started; a Board must be closed.
func New(cfg Config, pins Pins, tell func(Event)) (*Board, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.fill()
	b := &Board{ampMost: cfg.AmpMost, changed: make(chan struct{}, 1), state: "booting", shown: time.Now()}
	b.pins = cfg.pins()
	out := func(name string, brightness int) *Output {
		if name == "" {
			return nil
		}
		return newOutput(name, brightness, func() (gpio.PinOut, error) { return pins.Out(name) })
	}
	b.amp, b.lamp, b.led = out(cfg.AmpEnable, 0), out(cfg.BusyLamp, cfg.Brightness), out(cfg.StatusLED, cfg.Brightness)
	for _, i := range cfg.Inputs {
		in := &input{name: i.Name, low: i.Active != "high", settle: cfg.Settle, stuck: i.Stuck, tell: tell, count: &b.count}
		in.open = func() (gpio.PinIn, error) { return pins.In(i.Pin, i.pull()) }
		b.inputs = append(b.inputs, in)
	}
	return b, nil
}

// Amp switches the amplifier; it has switched when Amp returns. Switching on what
// is on begins [Config.AmpMost] anew.
func (b *Board) Amp(on bool) error {
	b.mu.Lock()
	b.ampOn = time.Time{}
	if on {
		b.ampOn = time.Now()
	}
	b.mu.Unlock()
	b.poke()
	return b.set(b.amp, on)
}

// Lamp switches the busy lamp.
func (b *Board) Lamp(on bool) error { return b.set(b.lamp, on) }

// Light has the status light show a state of [Patterns] while Run runs.
func (b *Board) Light(state string) error {
	if patterns[state] == nil {
		return fmt.Errorf("status light: there is no state %q", state)
	}
	b.mu.Lock()
	if b.state != state {
		b.state, b.shown = state, time.Now()
	}
	b.mu.Unlock()
	b.poke()
	return nil
}

func (b *Board) poke() {
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

func (b *Board) set(o *Output, on bool) error {
	if o == nil {
		return nil
	}
	err := o.Set(on)
	if err != nil {
		b.count.failed.Add(1)
	}
	return err
}

// Faults is the lines that are configured and cannot be had now, with the reason
// of each; nil: all can.
func (b *Board) Faults() (faults []Fault) {
	for _, o := range []struct {
		key string
		*Output
	}{{"amp_enable", b.amp}, {"busy_lamp", b.lamp}, {"status_led", b.led}} {
		if o.Output == nil {
			continue
		}
		if err := o.Err(); err != nil {
			faults = append(faults, Fault{Key: o.key, Text: err.Error(), Pin: true})
		}
	}
	return faults
}

// Pins is what is configured: the pin of each key, of inputs by their names.
func (b *Board) Pins() map[string]string { return maps.Clone(b.pins) }

// State tells of each input whose line can be had whether it is active, by name.
func (b *Board) State() map[string]bool {
	state := map[string]bool{}
	for _, in := range b.inputs {
		if in.had.Load() {
			state[in.name] = in.on.Load()
		}
	}
	return state
}

// Stats is what was counted so far.
func (b *Board) Stats() Stats {
	c := &b.count
	return Stats{Edges: c.edges.Load(), Lost: c.lost.Load(), Presses: c.presses.Load(), Stuck: c.stuck.Load(),
		Gone: c.gone.Load(), AmpCut: c.ampCut.Load(), Failed: c.failed.Load()}
}

// Close drives every output low and gives its line back; what is switched after
// it stays off. It may be called while Run runs, and more than once.
func (b *Board) Close() error {
	var errs []error
	for _, o := range []*Output{b.amp, b.lamp, b.led} {
		if o != nil {
			errs = append(errs, o.Close())
		}
	}
	return errors.Join(errs...)
}

// Run watches the inputs, has the light blink, and switches the amplifier off if
// nobody else has done so in [Config.AmpMost]. It blocks until ctx ends, and
// returns nil; the outputs are left to [Board.Close].
func (b *Board) Run(ctx context.Context) error {
	var work sync.WaitGroup
	start := func(f func(context.Context)) {
		work.Go(func() {
			defer b.quietOnPanic()
			f(ctx)
		})
	}
	for _, in := range b.inputs {
		start(in.run)
	}
	start(b.keep)
	work.Wait()
	return nil
}

// quietOnPanic switches everything off before the process dies of a panic here.
func (b *Board) quietOnPanic() {
	if v := recover(); v != nil {
		_ = b.Close() // there is nobody left to tell
		panic(v)
	}
}

// keep is the goroutine of the light and of the amplifier's longest time.
func (b *Board) keep(ctx context.Context) {
	wake := time.NewTimer(0)
	defer wake.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wake.C:
		case <-b.changed:
		}
		wake.Reset(min(b.blink(), b.guard()))
	}
}

// retryLight is how often a light that cannot be had is tried again.
const retryLight = 5 * time.Second

// blink has the light as it is to be now, and tells for how long.
func (b *Board) blink() time.Duration {
	if b.led == nil {
		return time.Hour
	}
	b.mu.Lock()
	on, left := patterns[b.state].At(time.Since(b.shown))
	b.mu.Unlock()
	if b.set(b.led, on) != nil { // counted, and told by Faults
		return max(left, retryLight)
	}
	return left
}

// guard switches off an amplifier that was on for too long, and tells when to
// look again.
func (b *Board) guard() time.Duration {
	b.mu.Lock()
	since := b.ampOn
	b.mu.Unlock()
	if since.IsZero() {
		return time.Hour
	}
	if left := b.ampMost - time.Since(since); left > 0 {
		return left
	}
	b.count.ampCut.Add(1)
	_ = b.Amp(false) // counted; where it fails the line is given back
	return time.Hour
}
