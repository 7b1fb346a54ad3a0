package gpio

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"periph.io/x/conn/v3/gpio"
)

// Config says what hangs on which pin. An empty pin: there is none.
type Config struct {
	AmpEnable  string // on while the device sounds
	BusyLamp   string // on while the area sounds
	StatusLED  string // shows how the device is; a pin, or pwmchip0/1 where a pulse-width output dims it
	MuteButton string // to ground; reported as the input [MuteButton]
	Inputs     []Input

	Brightness int           // percent of the lamp and the light, of outputs that can; 0: 100
	AmpMost    time.Duration // the amplifier is switched off when it was on for so long; 0: 20 min
	Settle     time.Duration // an input has changed when it has stood still for so long; 0: 30 ms
	ButtonMost time.Duration // the mute button is stuck when it was pressed for so long; 0: 30 s
}

// Input is a line that is watched.
type Input struct {
	Name   string        // in events; needed, unique
	Pin    string        // needed
	Active string        // low: active when it is connected to ground; high: to 3.3 V; empty: low
	Pull   string        // up, down or none; empty: against Active
	Stuck  time.Duration // it is stuck when it was active for so long; 0: it may be active for ever
}

// MuteButton is the name of the mute button in events.
const MuteButton = "mute_button"

const (
	defaultAmpMost = 20 * time.Minute
	defaultSettle  = 30 * time.Millisecond
	defaultButton  = 30 * time.Second
)

// A Fault is what is wrong with one key of a [Config].
type Fault struct {
	Key  string // such as amp_enable or inputs[1].pin
	Text string
	Pin  bool // it is of one pin: a board does without what hangs on it
}

// Error is key and text.
func (f Fault) Error() string { return f.Key + ": " + f.Text }

// Faults tells everything that is wrong with c, by key.
func (c Config) Faults() (faults []Fault) {
	fault := func(bad bool, key, format string, args ...any) {
		if bad {
			faults = append(faults, Fault{Key: key, Text: fmt.Sprintf(format, args...)})
		}
	}
	used := map[string]string{}
	bad := func(bad bool, key, format string, args ...any) {
		if bad {
			faults = append(faults, Fault{Key: key, Text: fmt.Sprintf(format, args...), Pin: true})
		}
	}
	pin := func(key, name string, output bool) {
		if output && strings.HasPrefix(name, "pwmchip") {
			_, _, err := parsePWM(name)
			bad(err != nil, key, "%v", err)
		} else if p, err := ParsePin(name); err != nil {
			bad(true, key, "%v", err)
			return
		} else {
			name = p.String()
		}
		bad(used[name] != "", key, "%s has %s already", used[name], name)
		used[name] = key
	}
	for _, o := range c.outputs() {
		if o.pin != "" {
			pin(o.key, o.pin, true)
		}
	}
	if c.MuteButton != "" {
		pin("mute_button", c.MuteButton, false)
	}
	names := map[string]bool{MuteButton: true}
	for i, in := range c.Inputs {
		key := fmt.Sprintf("inputs[%d].", i)
		fault(!isName(in.Name), key+"name", "%q is not 1 to 64 of A-Z a-z 0-9 _ -", in.Name)
		fault(names[in.Name], key+"name", "there is another %q", in.Name)
		names[in.Name] = true
		pin(key+"pin", in.Pin, false)
		fault(!slices.Contains([]string{"", "low", "high"}, in.Active), key+"active", "%q is none of low, high", in.Active)
		fault(!slices.Contains([]string{"", "up", "down", "none"}, in.Pull), key+"pull", "%q is none of up, down, none", in.Pull)
		fault(in.Stuck < 0, key+"stuck", "%v is negative", in.Stuck)
	}
	fault(c.Brightness < 0 || c.Brightness > 100, "brightness", "%d is not 0 to 100", c.Brightness)
	fault(c.AmpMost < 0, "amp_most", "%v is negative", c.AmpMost)
	fault(c.Settle < 0 || c.Settle > time.Second, "settle", "%v is not 0 to 1 s", c.Settle)
	fault(c.ButtonMost < 0, "button_most", "%v is negative", c.ButtonMost)
	return faults
}

// Validate tells everything that is wrong with c at once, but for what is wrong
// with one pin alone: it is as if somebody had that.
func (c Config) Validate() error {
	var errs []error
	for _, f := range c.Faults() {
		if !f.Pin {
			errs = append(errs, fmt.Errorf("gpio: %w", f))
		}
	}
	return errors.Join(errs...)
}

func isName(s string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
	return len(s) > 0 && len(s) <= 64 && strings.Trim(s, letters) == ""
}

type named struct{ key, pin string }

func (c Config) outputs() []named {
	return []named{{"amp_enable", c.AmpEnable}, {"busy_lamp", c.BusyLamp}, {"status_led", c.StatusLED}}
}

// pins is the pin of each key, of inputs by their names.
func (c Config) pins() map[string]string {
	pins := map[string]string{}
	for _, o := range c.outputs() {
		if o.pin != "" {
			pins[o.key] = o.pin
		}
	}
	for _, i := range c.Inputs {
		pins[i.Name] = i.Pin
	}
	return pins
}

func (c *Config) fill() {
	if c.AmpMost == 0 {
		c.AmpMost = defaultAmpMost
	}
	if c.Settle == 0 {
		c.Settle = defaultSettle
	}
	if c.ButtonMost == 0 {
		c.ButtonMost = defaultButton
	}
	if c.MuteButton != "" {
		c.Inputs = append([]Input{{Name: MuteButton, Pin: c.MuteButton, Stuck: c.ButtonMost}}, c.Inputs...)
	}
}

func (i Input) pull() gpio.Pull {
	switch {
	case i.Pull == "none":
		return gpio.Float
	case i.Pull == "up", i.Pull == "" && i.Active != "high":
		return gpio.PullUp
	}
	return gpio.PullDown
}
