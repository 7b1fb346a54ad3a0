package deviced

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/settings"
	"github.com/tacet-hub/tacet/drivers/gpio"
	"github.com/tacet-hub/tacet/firmware"
)

// defaultAmpLead is more than a class D amplifier takes to leave its shutdown,
// and less than a relay that bounces: both are heard as a cut beginning, not as
// a loss.
const defaultAmpLead = area.Duration(30 * time.Millisecond)

const mostAmpLead = area.Duration(time.Second)

// config is the board's own configuration.
func (g GPIO) config() gpio.Config {
	c := gpio.Config{AmpEnable: g.AmpEnable, BusyLamp: g.BusyLamp, StatusLED: g.StatusLED, MuteButton: g.MuteButton, Brightness: g.Brightness,
		AmpMost: time.Duration(g.AmpMost), ButtonMost: time.Duration(g.ButtonMost)}
	for _, i := range g.Inputs {
		c.Inputs = append(c.Inputs, gpio.Input{Name: i.Name, Pin: i.Pin, Active: i.Active, Pull: i.Pull, Stuck: time.Duration(i.Stuck)})
	}
	return c
}

// faults tells everything that is wrong, by the key below gpio.
func (g GPIO) faults() []gpio.Fault {
	faults := g.config().Faults()
	if g.AmpLead < 0 || g.AmpLead > mostAmpLead {
		faults = append(faults, gpio.Fault{Key: "amp_lead", Text: fmt.Sprintf("%v is not 0 to %v", g.AmpLead, mostAmpLead)})
	}
	if g.AmpHold < 0 {
		faults = append(faults, gpio.Fault{Key: "amp_hold", Text: fmt.Sprintf("%v is negative", g.AmpHold)})
	}
	return faults
}

// badPins is what is wrong with pins, by key, and where each was written.
type badPins map[string]settings.Fault

// bad tells what is wrong with pins alone: a device goes on without them.
func (g GPIO) bad(o settings.Origins) badPins {
	bad := badPins{}
	for _, f := range g.faults() {
		if f.Pin {
			key := "gpio." + f.Key
			bad[key] = o.Faultf(key, "%s", f.Text)
		}
	}
	return bad
}

// PinFaults tells what is wrong with pins alone, which is no fault of the whole:
// a device goes on without them.
func (c Config) PinFaults() (faults settings.Faults) {
	for _, key := range slices.Sorted(maps.Keys(c.badPins)) {
		faults = append(faults, c.badPins[key])
	}
	return faults
}

// lead is how long the amplifier is on before the first sample; without one
// there is nothing to wait for.
func (g GPIO) lead() time.Duration {
	if g.AmpEnable == "" {
		return 0
	}
	return time.Duration(g.AmpLead)
}

// used tells whether anything hangs on a pin.
func (g GPIO) used() bool {
	return g.AmpEnable+g.BusyLamp+g.StatusLED+g.MuteButton != "" || len(g.Inputs) > 0
}

// board is the switches of a device, real or simulated, and what it makes of the
// inputs.
type board struct {
	firmware.Beacon
	real *gpio.Board // nil: simulated
	sim  interface{ Watch(func()) }
	log  *slog.Logger

	mu     sync.Mutex
	agent  *firmware.Agent   // nil: there is none yet
	lights bool              // the status light tells of pins that cannot be had
	alert  string            // as last told to the agent
	told   gpio.Stats        // as last told in the log
	bad    badPins           // of the configuration
	stuck  map[string]bool   // inputs, by name
	gone   map[string]string // inputs whose lines cannot be had, and why
}

func newPins(log *slog.Logger) *board {
	return &board{log: log, stuck: map[string]bool{}, gone: map[string]string{}}
}

func (d *Device) newBoard(cfg Config, log *slog.Logger) (*board, error) {
	b := newPins(log)
	if d.care.start.Safe { // what hangs on the other pins may be the reason
		cfg.GPIO = GPIO{AmpEnable: cfg.GPIO.AmpEnable, StatusLED: cfg.GPIO.StatusLED, Brightness: cfg.GPIO.Brightness}
	}
	b.bad = cfg.badPins
	for _, f := range b.bad {
		b.log.Error("pin cannot be used", "err", f.String())
	}
	if d.board != nil {
		b.Beacon, b.sim = d.board, &d.board.Button
		return b, nil
	}
	return b, b.take(cfg.GPIO.config(), gpio.NewMachine())
}

// take takes the real lines; those that cannot be had are told, and the device
// goes on without them.
func (b *board) take(cfg gpio.Config, pins gpio.Pins) (err error) {
	b.real, err = gpio.New(cfg, pins, b.heard)
	if err != nil {
		return err
	}
	b.Beacon = b.real
	for _, f := range b.real.Faults() {
		if _, told := b.bad["gpio."+f.Key]; !told {
			b.log.Error("pin cannot be used", "err", "gpio."+f.Error())
		}
	}
	return nil
}

// hear has the agent told of what happens at the inputs, and with lights its
// status light of pins that cannot be had.
func (b *board) hear(a *firmware.Agent, lights bool) {
	b.mu.Lock()
	b.agent, b.lights = a, lights
	b.mu.Unlock()
	if b.sim != nil {
		b.sim.Watch(func() { b.heard(gpio.Event{Input: gpio.MuteButton, Kind: gpio.Pressed, On: true}) })
		return
	}
}

// heard is called by the goroutines of the inputs; it only enqueues.
func (b *board) heard(e gpio.Event) {
	b.mu.Lock()
	agent := b.agent
	switch e.Kind {
	case gpio.Stuck:
		b.stuck[e.Input] = true
	case gpio.Gone:
		b.gone[e.Input] = e.Err.Error()
	case gpio.Free:
		delete(b.stuck, e.Input)
	case gpio.Back:
		delete(b.stuck, e.Input)
		delete(b.gone, e.Input)
	}
	b.mu.Unlock()
	if agent == nil {
		return
	}
	switch e.Kind {
	case gpio.Pressed:
		if e.Input == gpio.MuteButton {
			agent.ToggleMute()
		}
		agent.Event(e.Input, true, "")
		b.state(agent, e.Input, "true")
	case gpio.Released, gpio.Back:
		b.state(agent, e.Input, fmt.Sprint(e.On))
	case gpio.Stuck:
		b.log.Warn("input is stuck", "topic", "event/"+e.Input)
		agent.Event(e.Input, e.On, "stuck")
	case gpio.Free:
		b.log.Info("input is no longer stuck", "topic", "event/"+e.Input)
	case gpio.Gone:
		b.log.Error("input cannot be used", "topic", "event/"+e.Input, "err", e.Err)
		agent.Event(e.Input, false, "gone")
		b.state(agent, e.Input, firmware.Unmeasured)
	}
}

// state reports how an input is; a button has no state that anybody needs.
func (b *board) state(a *firmware.Agent, name, value string) {
	if name != gpio.MuteButton {
		a.State(name, value)
	}
}

// gauge tells of the pins in the status, and has the light tell of those that
// cannot be had: everything else goes on, so that nobody would look.
func (b *board) gauge(h *area.Health) {
	if b.real != nil {
		b.gaugePins(h)
	}
	for key, f := range b.bad {
		h.Faults[key] = settings.Fault{Where: f.Where, Text: f.Text}.String()
	}
}

func (b *board) gaugePins(h *area.Health) {
	maps.Copy(h.Pins, b.real.Pins())
	b.tell(b.real.Stats())
	alert := ""
	for _, f := range b.real.Faults() {
		h.Faults["gpio."+f.Key] = f.Text
		alert = firmware.LightConfigError
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for name := range b.stuck {
		h.Faults["input "+name] = "it is stuck"
	}
	for name, text := range b.gone {
		h.Faults["input "+name] = text
		alert = firmware.LightConfigError
	}
	if b.agent != nil && b.lights && alert != b.alert {
		b.alert = alert
		b.agent.Alert(alert)
	}
}

// tell tells in the log of what should not have happened since it was last asked.
func (b *board) tell(s gpio.Stats) {
	if n := s.Lost - b.told.Lost; n > 0 {
		b.log.Warn("edges of inputs were lost", "n", n)
	}
	if n := s.AmpCut - b.told.AmpCut; n > 0 {
		b.log.Error("amplifier was on for too long, it was switched off", "n", n)
	}
	b.told = s
}

// around runs the board while run runs, and until it has ended: what switches
// the outputs off is the last to go.
func (b *board) around(ctx context.Context, run func(context.Context) error) error {
	if b.real == nil {
		return run(ctx)
	}
	own, stop := context.WithCancel(context.WithoutCancel(ctx))
	var work sync.WaitGroup
	var err error
	work.Go(func() { err = b.real.Run(own) })
	failed := run(ctx)
	stop()
	work.Wait()
	return errors.Join(failed, err)
}

// Quiet drives the outputs of a device low, for after a process that was killed:
// the kernels of the Raspberry Pi keep the level of a line whose owner has died.
// The lines of a device that runs are left alone.
func Quiet(cfg Config) error {
	if cfg.Sim || !cfg.GPIO.used() {
		return nil
	}
	return gpio.Quiet(cfg.GPIO.config(), gpio.NewMachine())
}

// CanShowFault tells whether a configuration, which may have faults, has a real
// status light.
func (c Config) CanShowFault() bool { return !c.Sim && c.GPIO.StatusLED != "" }

// ShowFault blinks, by the status light of a configuration that has faults, that
// it has, until ctx ends or the time is over. It returns at once where the light
// cannot be had, which it tells.
func ShowFault(ctx context.Context, cfg Config, d time.Duration) bool {
	return showFault(ctx, cfg.GPIO, gpio.NewMachine(), d)
}

func showFault(ctx context.Context, cfg GPIO, pins gpio.Pins, d time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return show(ctx, cfg, pins, firmware.LightConfigError)
}

// show has the status light show a state until ctx ends, before there is an agent.
func show(ctx context.Context, cfg GPIO, pins gpio.Pins, state string) bool {
	b, err := gpio.New(gpio.Config{StatusLED: cfg.StatusLED}, pins, nil)
	if err != nil {
		return false
	}
	defer b.Close() // a light that stays on does no harm
	if len(b.Faults()) > 0 || b.Light(state) != nil {
		return false
	}
	return b.Run(ctx) == nil
}
