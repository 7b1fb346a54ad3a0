package gpio

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestFaults(t *testing.T) {
	cases := []struct {
		name string
		cfg  Config
		want []string // beginnings of the faults
	}{
		{"nothing", Config{}, nil},
		{"all", Config{AmpEnable: "GPIO22", BusyLamp: "PIN11", StatusLED: "pwmchip0/1", MuteButton: "GPIO5", Inputs: []Input{{Name: "door", Pin: "GPIO6", Active: "high", Pull: "none"}}}, nil},
		{"bad names", Config{AmpEnable: "22", BusyLamp: "PIN6", StatusLED: "pwmchip0", MuteButton: "GPIO40"},
			[]string{`amp_enable: "22" may be`, `busy_lamp: "PIN6" is ground`, `status_led: "pwmchip0" is not`, `mute_button: "GPIO40" is none`}},
		{"one pin twice", Config{AmpEnable: "GPIO17", BusyLamp: "PIN11"}, []string{"busy_lamp: amp_enable has GPIO17 already"}},
		{"inputs", Config{Inputs: []Input{{Name: "a b", Pin: "GPIO1"}, {Name: "door"}, {Name: "door", Pin: "GPIO1", Active: "up", Pull: "low", Stuck: -1}, {Name: MuteButton, Pin: "GPIO3"}}},
			[]string{"inputs[0].name: ", "inputs[1].pin: no pin", "inputs[2].name: there is another", "inputs[2].pin: inputs[0].pin has", "inputs[2].active: ", "inputs[2].pull: ", "inputs[2].stuck: ", "inputs[3].name: there is another"}},
		{"numbers", Config{Brightness: 101, AmpMost: -1, Settle: time.Minute, ButtonMost: -1}, []string{"brightness: ", "amp_most: ", "settle: ", "button_most: "}},
	}
	for _, c := range cases {
		got := c.cfg.Faults()
		if len(got) != len(c.want) {
			t.Errorf("%s: %v", c.name, got)
			continue
		}
		for i, f := range got {
			if !strings.HasPrefix(f.Error(), c.want[i]) {
				t.Errorf("%s: %q, want %q", c.name, f, c.want[i])
			}
		}
		grave := slices.ContainsFunc(got, func(f Fault) bool { return !f.Pin })
		if _, err := New(c.cfg, newBench(), nil); (err != nil) != grave {
			t.Errorf("%s: New: %v", c.name, err)
		}
	}
}

// The amplifier is on before Amp returns, and nobody has to switch it off for it
// to be off in the end.
func TestAmplifierIsOnForSoLongAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench("GPIO22")
		s := newSite(t, Config{AmpEnable: "GPIO22", AmpMost: time.Minute}, b)
		if err := s.Amp(true); err != nil {
			t.Fatal(err)
		}
		equal(t, "at once", b.noted(), []string{"GPIO22 Low", "GPIO22 High"})
		for range 3 { // each play begins the time anew
			time.Sleep(40 * time.Second)
			_ = s.Amp(true)
		}
		equal(t, "play after play", b.noted(), []string{})
		time.Sleep(61 * time.Second)
		equal(t, "nobody has switched it off", b.noted(), []string{"GPIO22 Low"})
		_ = s.Amp(true)
		_ = s.Amp(false)
		time.Sleep(time.Hour)
		equal(t, "somebody has", b.noted(), []string{"GPIO22 High", "GPIO22 Low"})
		if s.Stats().AmpCut != 1 {
			t.Errorf("%+v", s.Stats())
		}
		_ = s.Amp(true)
		s.stop()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		equal(t, "the end", b.noted(), []string{"GPIO22 High", "GPIO22 Low", "GPIO22 given back"})
		_ = s.Amp(true)
		equal(t, "after the end", b.noted(), []string{})
	})
}

func TestLight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench("GPIO27")
		s := newSite(t, Config{StatusLED: "GPIO27"}, b)
		defer s.stop()
		changes := func(state string, d time.Duration) int {
			if err := s.Light(state); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			b.noted()
			time.Sleep(d)
			synctest.Wait()
			return len(b.noted())
		}
		for state, want := range map[string]int{"booting": 20, "ok": 0, "playing": 100, "muted": 24} {
			if n := changes(state, 10*time.Second); n < want-2 || n > want+2 {
				t.Errorf("%s: %d changes in 10 s, want %d", state, n, want)
			}
		}
		if err := s.Light("tired"); err == nil || !strings.Contains(err.Error(), "tired") {
			t.Errorf("a state that there is not: %v", err)
		}
		changes("booting", time.Second) // it blinks: so it is seen that it cannot
		b.fail("GPIO27 out", errors.New("no such device"))
		time.Sleep(time.Minute)
		if f := s.Faults(); len(f) != 1 || f[0].Key != "status_led" {
			t.Errorf("the light is gone: %v", f)
		}
		if n := s.Stats().Failed; n < 8 || n > 16 {
			t.Errorf("it was tried %d times in a minute", n)
		}
		b.fail("GPIO27 out", nil)
		if n := changes("playing", 10*time.Second); n < 40 || len(s.Faults()) != 0 {
			t.Errorf("it is back: %d changes, %v", n, s.Faults())
		}
	})
}

// A device without pins is a device.
func TestBoardWithoutPins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, Config{}, newBench())
		if err := errors.Join(s.Amp(true), s.Lamp(true), s.Light("ok"), s.Close()); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		s.stop()
	})
}

// A pin with a name that there is not, or that another key has, costs what hangs
// on it.
func TestBadPinIsDoneWithout(t *testing.T) {
	b := newBench("GPIO22", "GPIO17")
	s, err := New(Config{AmpEnable: "GPIO22", BusyLamp: "GPIO40", StatusLED: "17"}, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Amp(true); err != nil {
		t.Error(err)
	}
	if err := s.Lamp(true); err == nil || !strings.Contains(err.Error(), `"GPIO40" is none of`) {
		t.Errorf("Lamp: %v", err)
	}
	if f := s.Faults(); len(f) != 2 || f[0].Key != "busy_lamp" || f[1].Key != "status_led" {
		t.Errorf("faults: %v", f)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	equal(t, "the lines", b.noted(), []string{"GPIO22 Low", "GPIO22 High", "GPIO22 Low", "GPIO22 given back"})
}
