package sim

import (
	"slices"
	"sync"
	"time"
)

// Board is the simulated switches of a device. Its methods Amp, Lamp, Light and
// Close are those of firmware.Beacon; all are safe for concurrent use and do not
// block.
type Board struct {
	Relay  Switch // power of the amplifier
	Busy   Switch // lamp that is lit while the area sounds
	Status Light  // what the status light shows
	Button Button
}

// Amp switches the amplifier.
func (b *Board) Amp(on bool) error { b.Relay.set(on); return nil }

// Lamp switches the lamp.
func (b *Board) Lamp(on bool) error { b.Busy.set(on); return nil }

// Light has the status light show a state.
func (b *Board) Light(state string) error { b.Status.set(state); return nil }

// Close switches everything off; the light is left dark, the empty state.
func (b *Board) Close() error {
	b.Relay.set(false)
	b.Busy.set(false)
	b.Status.set("")
	return nil
}

// Change is a moment at which a [Switch] was thrown.
type Change struct {
	At time.Time
	On bool
}

// Switch is a simulated output. The zero Switch is off.
type Switch struct {
	mu      sync.Mutex
	on      bool
	changes []Change
}

// On tells whether the switch is on.
func (s *Switch) On() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.on
}

// Changes is the last 1,000 changes, oldest first.
func (s *Switch) Changes() []Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Change(nil), s.changes...)
}

func (s *Switch) set(on bool) {
	const most = 1000
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.on == on {
		return
	}
	s.on = on
	if len(s.changes) == most {
		s.changes = append(s.changes[:0], s.changes[1:]...)
	}
	s.changes = append(s.changes, Change{At: time.Now(), On: on})
}

// Light is a simulated status light. The zero Light is dark.
type Light struct {
	mu     sync.Mutex
	states []string
}

// State is what the light shows.
func (l *Light) State() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.states) == 0 {
		return ""
	}
	return l.states[len(l.states)-1]
}

// States is the last 1,000 states, oldest first.
func (l *Light) States() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.states)
}

func (l *Light) set(state string) {
	const most = 1000
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.states); n > 0 && l.states[n-1] == state || n == 0 && state == "" {
		return
	}
	if len(l.states) == most {
		l.states = slices.Delete(l.states, 0, 1)
	}
	l.states = append(l.states, state)
}

// Button is a simulated push button.
type Button struct {
	mu      sync.Mutex
	pressed func()
}

// Watch has pressed called at each press, instead of whatever was called before;
// it must not block.
func (b *Button) Watch(pressed func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pressed = pressed
}

// Press pushes the button.
func (b *Button) Press() {
	b.mu.Lock()
	pressed := b.pressed
	b.mu.Unlock()
	if pressed != nil {
		pressed()
	}
}
