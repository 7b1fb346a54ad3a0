//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tacet-hub/tacet/cmd/internal/rungs/proof"
	"github.com/tacet-hub/tacet/drivers/gpio"
)

// The pins that the suite uses, by their numbers.
const (
	ampPin, lampPin, ledPin, mutePin, doorPin = 22, 17, 27, 5, 6
)

// simulated is what hangs on the simulated chip.
var simulated = gpio.Config{
	AmpEnable: "GPIO22", BusyLamp: "PIN11", StatusLED: "GPIO27", MuteButton: "GPIO5",
	Inputs: []gpio.Input{{Name: "door", Pin: "GPIO6", Active: "high"}},
}

// tryGPIO switches and watches the simulated chip by the device's own driver,
// and looks from outside at what that does. Each fault of the library that the
// driver keeps away has a line of its own.
func tryGPIO(s *proof.Sheet) {
	host, err := chip(s)
	if err != nil {
		return
	}
	detail, err := killed(host)
	s.Check("gpio.kill", detail, err)
	var events events
	board, rose, err := newBoard(host, &events)
	if err != nil {
		s.Fail("gpio.board", "%v", err)
		return
	}
	s.Check("gpio.noglitch", "amplifier, lamp and light are low while the lines are taken", rose)
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = board.Run(ctx) }) // it returns nil
	detail, err = outputs(board)
	s.Check("gpio.out", detail, err)
	detail, err = inUse(host)
	s.Check("gpio.busy", detail, err)
	detail, err = idle()
	s.Check("gpio.idle", detail, err)
	detail, err = presses(board, &events)
	s.Check("gpio.press", detail, err)
	detail, err = pulls(host)
	s.Check("gpio.pulls", detail, err)
	cancel()
	work.Wait()
	detail, err = closed(board)
	s.Check("gpio.close", detail, err)
}

// chip looks for the chip that was made, and whether looking has left descriptor
// 0 alone.
func chip(s *proof.Sheet) (*gpio.Host, error) {
	before, err1 := os.Readlink("/proc/self/fd/0")
	host, err := gpio.NewHost("")
	after, err2 := os.Readlink("/proc/self/fd/0")
	if err = errors.Join(err, err1, err2); err == nil && before != after {
		err = fmt.Errorf("descriptor 0 was %s and is %s", before, after)
	}
	s.Check("gpio.descriptor0", "descriptor 0 is still "+after, err)
	if err != nil {
		return nil, err
	}
	chips := host.Chips()
	if len(chips) != 1 || len(chips[0].Lines) != simLines || chips[0].Label != simLabel {
		err = fmt.Errorf("the chips are %+v", chips)
		s.Fail("gpio.chip", "%v", err)
		return nil, err
	}
	s.OK("gpio.chip", "%s", chips[0].Has())
	return host, nil
}

// newBoard makes the board; rose is the error of an output that was high before
// anybody has switched it.
func newBoard(host *gpio.Host, to *events) (board *gpio.Board, rose, err error) {
	stop, seen := make(chan struct{}), make(chan error, 1)
	go func() { // waited for below
		for {
			select {
			case <-stop:
				seen <- nil
				return
			default:
			}
			for _, n := range []int{ampPin, lampPin, ledPin} {
				if high, err := simLevel(n); err != nil || high {
					seen <- errors.Join(err, fmt.Errorf("GPIO%d was high", n))
					return
				}
			}
		}
	}()
	board, err = gpio.New(simulated, host, to.add)
	close(stop)
	if rose = <-seen; err == nil {
		for _, f := range board.Faults() {
			err = errors.Join(err, f)
		}
	}
	return board, rose, err
}

// outputs switches and looks from outside. Reading what the board says must not
// change a level: to the library an output that is read becomes an input.
func outputs(b *gpio.Board) (string, error) {
	for _, step := range []struct {
		set       func(bool) error
		on        bool
		amp, lamp bool
	}{
		{b.Amp, true, true, false}, {b.Lamp, true, true, true}, {b.Amp, false, false, true}, {b.Lamp, false, false, false}, {b.Amp, true, true, false}, {b.Amp, false, false, false},
	} {
		if err := step.set(step.on); err != nil {
			return "", err
		}
		for range 3 {
			b.Faults()
			b.State()
			b.Stats()
		}
		for n, want := range map[int]bool{ampPin: step.amp, lampPin: step.lamp} {
			if got, err := simLevel(n); err != nil || got != want {
				return "", fmt.Errorf("GPIO%d is %v outside, want %v: %w", n, got, want, err)
			}
		}
	}
	return "amplifier and lamp switched six times, seen outside each time", nil
}

// inUse asks for a line that the board has, as output and as input.
func inUse(host *gpio.Host) (string, error) {
	// The inputs are taken by the goroutines of the board.
	if err := poll(func() bool { _, l, _ := host.Line("GPIO5"); return l.Used }); err != nil {
		return "", fmt.Errorf("the mute button's line is not taken: %w", err)
	}
	_, out := host.Out("GPIO22")
	_, in := host.In("GPIO5", 0)
	for _, err := range []error{out, in} {
		if _, busy := errors.AsType[*gpio.BusyError](err); !busy {
			return "", fmt.Errorf("a line that is taken: %v", err)
		}
	}
	_, none := host.Out("GPIO99")
	if none == nil {
		return "", errors.New("GPIO99 was found")
	}
	return fmt.Sprintf("%v; %v", out, none), nil
}

// idle waits with nothing to do: a wait that returns at once would be seen as
// work.
func idle() (string, error) {
	var before, after syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
		return "", err
	}
	time.Sleep(2 * time.Second)
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
		return "", err
	}
	used := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
	if used > 200*time.Millisecond {
		return "", fmt.Errorf("inputs that wait took %v of the processor in 2 s", used)
	}
	return fmt.Sprintf("two inputs waited for 2 s and took %v of the processor", used), nil
}

// presses has the mute button pressed once, with contacts that bounce, and the
// door opened: one event each.
func presses(b *gpio.Board, e *events) (string, error) {
	for _, high := range []bool{false, true, false, true, false} { // bounces within the time of settling
		if err := simDrive(mutePin, high); err != nil {
			return "", err
		}
	}
	if err := e.await("mute_button pressed"); err != nil {
		return "", err
	}
	if err := errors.Join(simDrive(mutePin, true), e.await("mute_button released")); err != nil {
		return "", err
	}
	if err := errors.Join(simDrive(doorPin, true), e.await("door pressed")); err != nil {
		return "", err
	}
	if !b.State()["door"] || b.State()["mute_button"] {
		return "", fmt.Errorf("the state is %v", b.State())
	}
	if got := e.all(); len(got) != 3 {
		return "", fmt.Errorf("%d events, want 3: %v", len(got), got)
	}
	return fmt.Sprintf("one event per press: %s; %d edges, %d lost", strings.Join(e.all(), ", "), b.Stats().Edges, b.Stats().Lost), nil
}

// pulls takes a free line with each pull and reads it: the kernel has applied
// it.
func pulls(host *gpio.Host) (string, error) {
	for pull, want := range map[string]bool{"up": true, "down": false} {
		var e events
		b, err := gpio.New(gpio.Config{Inputs: []gpio.Input{{Name: "free", Pin: "GPIO13", Active: "high", Pull: pull}}}, host, e.add)
		if err != nil {
			return "", err
		}
		ctx, cancel := context.WithCancel(context.Background())
		var work sync.WaitGroup
		work.Go(func() { _ = b.Run(ctx) }) // it returns nil
		// The line is taken when the kernel says so; its level is as it is pulled.
		err = poll(func() bool { _, l, _ := host.Line("GPIO13"); return l.Used })
		high, err2 := simLevel(13)
		cancel()
		work.Wait()
		if err = errors.Join(err, err2, b.Close()); err != nil {
			return "", err
		}
		if high != want {
			return "", fmt.Errorf("pulled %s the line is %v", pull, high)
		}
	}
	return "a line that is pulled up is high, pulled down low", nil
}

// closed closes a board that has everything on: all is low, the lines are free.
func closed(b *gpio.Board) (string, error) {
	if err := errors.Join(b.Amp(true), b.Lamp(true), b.Close()); err != nil {
		return "", err
	}
	for _, n := range []int{ampPin, lampPin, ledPin} {
		if high, err := simLevel(n); err != nil || high {
			return "", fmt.Errorf("GPIO%d is high after Close: %w", n, err)
		}
	}
	return "all low", nil
}

// killed has another process switch the amplifier on and kills it: the line is
// low again, and free.
func killed(host *gpio.Host) (string, error) {
	cmd := exec.Command("/proc/self/exe", holdAmp)
	if err := cmd.Start(); err != nil {
		return "", err
	}
	err := poll(func() bool { high, _ := simLevel(ampPin); return high })
	kill := cmd.Process.Kill()
	_ = cmd.Wait() // killed
	if err := errors.Join(err, kill); err != nil {
		return "", fmt.Errorf("another process with the amplifier on: %w", err)
	}
	began := now()
	if err := poll(func() bool { high, _ := simLevel(ampPin); return !high }); err != nil {
		return "", fmt.Errorf("the amplifier stays on after kill -9: %w", err)
	}
	if _, l, err := host.Line("GPIO22"); err != nil || l.Used {
		return "", fmt.Errorf("the line after kill -9: used by %q, %w", l.Consumer, err)
	}
	return fmt.Sprintf("amplifier low %.0f ms after kill -9", ms(now()-began)), nil
}

// holdAmp is the argument with which the probe is the process that is killed.
const holdAmp = "hold-amp"

// hold switches the amplifier on and waits to be killed.
func hold() error {
	host, err := gpio.NewHost("")
	if err != nil {
		return err
	}
	b, err := gpio.New(gpio.Config{AmpEnable: "GPIO22"}, host, nil)
	if err != nil {
		return err
	}
	if err := b.Amp(true); err != nil {
		return err
	}
	time.Sleep(time.Minute)
	return b.Close()
}

// events are what the inputs told. The methods are safe for concurrent use.
type events struct {
	mu   sync.Mutex
	said []string
}

func (e *events) add(v gpio.Event) {
	if v.Kind == gpio.Back { // it tells that a line is had, when the board begins
		return
	}
	kind := map[gpio.Kind]string{gpio.Pressed: "pressed", gpio.Released: "released", gpio.Stuck: "stuck", gpio.Free: "free", gpio.Gone: "gone", gpio.Back: "back"}[v.Kind]
	e.mu.Lock()
	defer e.mu.Unlock()
	e.said = append(e.said, v.Input+" "+kind)
}

func (e *events) all() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.said)
}

func (e *events) await(text string) error {
	if err := poll(func() bool { return slices.Contains(e.all(), text) }); err != nil {
		return fmt.Errorf("no event %q among %v: %w", text, e.all(), err)
	}
	return nil
}

// poll waits until something holds that nobody tells of, for at most 5 s.
func poll(holds func() bool) error {
	for began := now(); !holds(); time.Sleep(time.Millisecond) {
		if now()-began > 5*time.Second {
			return errors.New("it does not come in 5 s")
		}
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
