package gpio

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"periph.io/x/conn/v3/gpio"
)

// ErrNoChip is the error of a machine without GPIO, or whose GPIO may not be
// used.
var ErrNoChip = errors.New("no GPIO chip can be used (/dev/gpiochip*: is there one, and is the user in group gpio?)")

// BusyError is the error of a line that somebody else has.
type BusyError struct {
	Pin      string
	Consumer string // who, as he calls himself; empty: not known
}

// Error tells the pin and who has it.
func (e *BusyError) Error() string {
	if e.Consumer == "" {
		return fmt.Sprintf("pin %s is in use", e.Pin)
	}
	return fmt.Sprintf("pin %s is in use by %q", e.Pin, e.Consumer)
}

// Line is a line of a chip as the kernel tells of it.
type Line struct {
	Offset   int
	Name     string
	Used     bool
	Consumer string
}

// Chip is a GPIO chip as the kernel tells of it.
type Chip struct {
	Name  string // gpiochip0
	Label string // pinctrl-bcm2711
	Path  string
	Lines []Line
}

// Has tells which lines there are, in a few words.
func (c Chip) Has() string {
	if c.isPi() {
		return fmt.Sprintf("GPIO0 to GPIO%d on %s", mostGPIO, c.Label)
	}
	var names []string
	for _, l := range c.Lines {
		if l.Name != "" && len(names) < 40 {
			names = append(names, l.Name)
		}
	}
	if len(names) == 0 {
		return fmt.Sprintf("%s/0 to %s/%d on %s", c.Name, c.Name, len(c.Lines)-1, c.Label)
	}
	return fmt.Sprintf("%s on %s", strings.Join(names, " "), c.Label)
}

// isPi tells whether the offsets of the chip's lines are the numbers of GPIO0 to
// GPIO27, which on some kernels have other names (GPIO14 is TXD1).
func (c Chip) isPi() bool {
	return strings.HasPrefix(c.Label, "pinctrl-bcm2") || c.Label == "pinctrl-rp1"
}

// find is the place of a pin among chips.
func find(chips []Chip, p Pin) (chip, offset int, err error) {
	for i, c := range chips {
		switch {
		case p.Chip != "":
			if c.Name == p.Chip && p.Offset < len(c.Lines) {
				return i, p.Offset, nil
			}
		case p.GPIO >= 0 && c.isPi() && p.GPIO < len(c.Lines):
			return i, p.GPIO, nil
		default:
			for _, l := range c.Lines {
				if l.Name == p.Line {
					return i, l.Offset, nil
				}
			}
		}
	}
	var has []string
	for _, c := range chips {
		has = append(has, c.Has())
	}
	return 0, 0, fmt.Errorf("there is no pin %s: there are %s", p, strings.Join(has, ", "))
}

// Machine is the lines of this machine, which are looked for when one is needed,
// until they are there: while a machine boots its chips come, and may be used,
// one after the other, and the library looks only once.
type Machine struct {
	open func() (*Host, error)
	wait func() bool // for chips that may not be used yet

	mu   sync.Mutex
	host *Host
}

// chipsTime is how long a machine may take from the first chip to the last.
const chipsTime = 10 * time.Second

// NewMachine makes a Machine; it looks for nothing yet.
func NewMachine() *Machine {
	began := time.Now()
	return &Machine{open: func() (*Host, error) { return NewHost("") },
		wait: func() bool { return chipsRefused() && time.Since(began) < chipsTime }}
}

func (m *Machine) have() (*Host, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.host != nil {
		return m.host, nil
	}
	if m.wait() {
		return nil, ErrNoChip
	}
	h, err := m.open()
	if err == nil {
		m.host = h
	}
	return h, err
}

// Out is [Host.Out]; it fails with [ErrNoChip] while there is no chip.
func (m *Machine) Out(name string) (gpio.PinOut, error) {
	h, err := m.have()
	if err != nil {
		return nil, err
	}
	return h.Out(name)
}

// In is [Host.In]; it fails with [ErrNoChip] while there is no chip.
func (m *Machine) In(name string, pull gpio.Pull) (gpio.PinIn, error) {
	h, err := m.have()
	if err != nil {
		return nil, err
	}
	return h.In(name, pull)
}

// Quiet drives the outputs of cfg low and gives them back, for after a process
// that has ended without doing so. What another process has is left to it, which
// is no error.
func Quiet(cfg Config, pins Pins) error {
	var errs []error
	for _, o := range cfg.outputs() {
		if o.pin == "" {
			continue
		}
		out := newOutput(o.pin, 0, func() (gpio.PinOut, error) { return pins.Out(o.pin) })
		err := errors.Join(out.Err(), out.Close())
		if _, busy := errors.AsType[*BusyError](err); err != nil && !busy {
			errs = append(errs, Fault{Key: o.key, Text: err.Error(), Pin: true})
		}
	}
	return errors.Join(errs...)
}
