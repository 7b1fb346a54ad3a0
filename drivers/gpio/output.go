package gpio

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/physic"
)

// Output is one switched line, active high. It remembers what it was set to: the
// line is never read, which would make it an input. All methods are safe for
// concurrent use; they block for no longer than the kernel takes.
type Output struct {
	name   string
	open   func() (gpio.PinOut, error)
	bright gpio.Duty // of on; 0: full, without PWM

	mu     sync.Mutex
	pin    gpio.PinOut // nil: could not be had yet
	on     bool
	err    error // of the last try
	closed bool
}

// lampFrequency is high enough that a dimmed lamp does not flicker.
const lampFrequency = physic.KiloHertz

// newOutput has open called at once, and again at each Set until it succeeds.
func newOutput(name string, brightness int, open func() (gpio.PinOut, error)) *Output {
	o := &Output{name: name, open: open}
	if brightness > 0 && brightness < 100 {
		o.bright = gpio.DutyMax / 100 * gpio.Duty(brightness)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	_ = o.have() // kept in o.err
	return o
}

// have makes sure that there is a line, which is low at first.
func (o *Output) have() error {
	if o.pin != nil {
		return nil
	}
	pin, err := o.open()
	if err == nil {
		if err = pin.Out(gpio.Low); err == nil {
			o.pin = pin
		} else {
			err = errors.Join(err, give(pin))
		}
	}
	o.err = err
	return err
}

// Set switches the line. A line that could not be had is tried again.
func (o *Output) Set(on bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || o.pin != nil && o.on == on {
		return nil
	}
	if err := o.have(); err != nil {
		return fmt.Errorf("switch %s: %w", o.name, err)
	}
	if err := o.drive(on); err != nil {
		o.err = errors.Join(err, give(o.pin))
		o.pin, o.on = nil, false // whatever it is now: it is asked for anew
		return fmt.Errorf("switch %s: %w", o.name, err)
	}
	o.on = on
	return nil
}

func (o *Output) drive(on bool) error {
	if on && o.bright > 0 {
		return o.pin.PWM(o.bright, lampFrequency)
	}
	return o.pin.Out(gpio.Level(on))
}

// On tells what the line was set to.
func (o *Output) On() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.on
}

// Err is why there is no line; nil where there is.
func (o *Output) Err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// Close drives the line low and gives it back. Set does nothing after it.
func (o *Output) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return nil
	}
	o.closed, o.on = true, false
	if o.pin == nil {
		return nil
	}
	err := errors.Join(o.pin.Out(gpio.Low), give(o.pin))
	o.pin = nil
	return err
}

// give gives a line back to the kernel, where its type has a way.
func give(pin any) error {
	switch p := pin.(type) {
	case interface{ Close() error }:
		return p.Close()
	case interface{ Close() }:
		p.Close()
	}
	return nil
}

// waitMost is the longest that an input waits at a time: the time in which it
// notices that it is to end, where Halt does not tell it.
const waitMost = time.Second
