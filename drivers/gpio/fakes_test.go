package gpio

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpiotest"
	"periph.io/x/conn/v3/physic"
)

// bench is the pins of a test, and a list of what was done to them.
type bench struct {
	mu     sync.Mutex
	began  time.Time
	pins   map[string]*line
	refuse map[string]error
	list   []string
}

func newBench(names ...string) *bench {
	b := &bench{began: time.Now(), pins: map[string]*line{}, refuse: map[string]error{}}
	for _, n := range names {
		b.pins[n] = &line{Pin: gpiotest.Pin{N: n, EdgesChan: make(chan gpio.Level, 1000)}, b: b}
	}
	return b
}

func (b *bench) note(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = append(b.list, fmt.Sprintf(format, args...))
}

// noted is what was done since it was last asked.
func (b *bench) noted() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.list
	b.list = nil
	return l
}

func (b *bench) fail(name string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuse[name] = err
}

func (b *bench) failing(name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refuse[name]
}

func (b *bench) get(name string) (*line, error) {
	p, err := ParsePin(name)
	if err != nil {
		return nil, err
	}
	if err := b.failing(name); err != nil {
		return nil, err
	}
	if b.pins[p.String()] == nil {
		return nil, errors.New("there is no such pin")
	}
	return b.pins[p.String()], nil
}

func (b *bench) Out(name string) (gpio.PinOut, error) { return b.get(name) }

func (b *bench) In(name string, pull gpio.Pull) (gpio.PinIn, error) {
	l, err := b.get(name)
	if err != nil {
		return nil, err
	}
	return l, l.In(pull, gpio.BothEdges)
}

// line is a fake line that notes what is done to it, and takes it amiss to be
// read while it is an output.
type line struct {
	gpiotest.Pin
	b      *bench
	output bool
	early  bool // waits end at once, with no edge
	waits  int
	err    error
}

func (l *line) Out(v gpio.Level) error {
	if err := l.b.failing(l.N + " out"); err != nil {
		return err
	}
	l.output = true
	l.b.note("%s %v", l.N, v)
	return l.Pin.Out(v)
}

func (l *line) PWM(d gpio.Duty, f physic.Frequency) error {
	l.b.note("%s %v %v", l.N, d, f)
	return l.Pin.PWM(d, f)
}

func (l *line) Read() gpio.Level {
	if l.output {
		l.b.note("%s was read", l.N)
	}
	return l.Pin.Read()
}

func (l *line) WaitForEdge(d time.Duration) bool {
	l.waits++
	if l.early {
		return false
	}
	if d < 0 {
		l.b.note("%s waits without an end", l.N)
	}
	return l.Pin.WaitForEdge(d)
}

func (l *line) Err() error {
	l.Lock()
	defer l.Unlock()
	return l.err
}

func (l *line) break_(err error) {
	l.Lock()
	defer l.Unlock()
	l.err = err
}

func (l *line) Close() error { l.b.note("%s given back", l.N); return nil }

// bounce has the line go to a level by way of others, a millisecond each.
func (l *line) bounce(to gpio.Level) {
	for _, v := range []gpio.Level{to, !to, to, !to, to} {
		l.EdgesChan <- v
		time.Sleep(time.Millisecond)
	}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s:\n  got  %v\n  want %v", what, got, want)
	}
}
