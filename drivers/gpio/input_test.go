package gpio

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"periph.io/x/conn/v3/gpio"
)

// site is a board that runs in a bubble, and what it has told.
type site struct {
	*Board
	*bench
	t    *testing.T
	mu   sync.Mutex
	told []string
	stop func()
}

func newSite(t *testing.T, cfg Config, b *bench) *site {
	s := &site{bench: b, t: t}
	var err error
	s.Board, err = New(cfg, b, func(e Event) {
		s.mu.Lock()
		defer s.mu.Unlock()
		line := fmt.Sprint(e.Input, " ", [...]string{"pressed", "released", "stuck", "free", "gone", "back"}[e.Kind], " ", e.On)
		if e.Err != nil {
			line += " " + e.Err.Error()
		}
		s.told = append(s.told, line)
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	s.stop = func() { cancel(); <-ended }
	synctest.Wait()
	return s
}

func (s *site) heard() []string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.told
	s.told = nil
	return l
}

func TestOneEventPerPress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench("GPIO5", "GPIO6", "GPIO13")
		s := newSite(t, Config{MuteButton: "GPIO5", Inputs: []Input{{Name: "door", Pin: "GPIO6"}, {Name: "tamper", Pin: "PIN33", Active: "high"}}}, b)
		defer s.stop()
		equal(t, "pulls", []gpio.Pull{b.pins["GPIO5"].Pull(), b.pins["GPIO6"].Pull(), b.pins["GPIO13"].Pull()}, []gpio.Pull{gpio.PullUp, gpio.PullUp, gpio.PullDown})
		time.Sleep(waitMost)
		if told := s.heard(); len(told) != 3 || !slices.Contains(told, "door back false") {
			t.Errorf("at first: %v", told)
		}
		for range 3 {
			b.pins["GPIO5"].bounce(gpio.Low)
			time.Sleep(time.Second)
			b.pins["GPIO5"].bounce(gpio.High)
			time.Sleep(time.Second)
		}
		equal(t, "the button", s.heard(), []string{"mute_button pressed true", "mute_button released false", "mute_button pressed true",
			"mute_button released false", "mute_button pressed true", "mute_button released false"})
		b.pins["GPIO6"].bounce(gpio.Low)
		b.pins["GPIO13"].bounce(gpio.High)
		time.Sleep(time.Hour)
		equal(t, "door and tamper", s.heard(), []string{"door pressed true", "tamper pressed true"})
		equal(t, "what is active", s.State(), map[string]bool{"mute_button": false, "door": true, "tamper": true})
		b.pins["GPIO5"].bounce(gpio.Low)
		time.Sleep(time.Minute)
		equal(t, "the button is kept pressed", s.heard(), []string{"mute_button pressed true", "mute_button stuck true"})
		b.pins["GPIO5"].bounce(gpio.High)
		time.Sleep(time.Second)
		equal(t, "and let go", s.heard(), []string{"mute_button released false", "mute_button free false"})
		if st := s.Stats(); st.Presses != 6 || st.Stuck != 1 || st.Edges != 5*10 {
			t.Errorf("%+v", st)
		}
		equal(t, "besides", b.noted(), []string{})
	})
}

// A wait that ends at once, as the library's does for a time without an end, and
// a spinning fake here, does not make a loop that eats the processor.
func TestInputDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench("GPIO5")
		b.pins["GPIO5"].early = true
		s := newSite(t, Config{MuteButton: "GPIO5"}, b)
		time.Sleep(time.Minute)
		s.stop()
		if n := b.pins["GPIO5"].waits; n < 30 || n > 90 {
			t.Errorf("%d waits in a minute", n)
		}
	})
}

// A line that somebody has, or whose chip goes, is told once and tried again.
func TestInputGoneAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench("GPIO6")
		b.fail("GPIO6", &BusyError{Pin: "GPIO6", Consumer: "doord"})
		s := newSite(t, Config{Inputs: []Input{{Name: "door", Pin: "GPIO6"}}}, b)
		defer s.stop()
		time.Sleep(10 * time.Minute)
		equal(t, "somebody has it", s.heard(), []string{`door gone false pin GPIO6 is in use by "doord"`})
		b.fail("GPIO6", nil)
		time.Sleep(2 * retryMost)
		equal(t, "he has gone", s.heard(), []string{"door back false"})
		b.pins["GPIO6"].break_(errors.New("no such device"))
		b.pins["GPIO6"].EdgesChan <- gpio.Low
		time.Sleep(time.Minute)
		equal(t, "the chip is gone", s.heard(), []string{"door gone false no such device"})
		b.pins["GPIO6"].break_(nil)
		time.Sleep(2 * retryMost)
		b.pins["GPIO6"].bounce(gpio.Low)
		time.Sleep(time.Second)
		equal(t, "it is back", s.heard(), []string{"door back false", "door pressed true"})
		if s.Stats().Gone != 2 {
			t.Errorf("%+v", s.Stats())
		}
	})
}
