package deviced

import (
	"fmt"
	"strings"

	"github.com/tacet-hub/tacet/drivers/gpio"
)

// checkGPIO tells of the board, its chips, and who has the pins that are
// configured. It drives none.
func checkGPIO(cfg Config) []Finding {
	var bad []Finding
	for _, f := range cfg.PinFaults() {
		bad = append(bad, Finding{Part: "gpio", Text: f.String()})
	}
	return append(bad, checkHost(cfg)...)
}

func checkHost(cfg Config) []Finding {
	if cfg.Sim || !cfg.GPIO.used() {
		return nil
	}
	h, err := gpio.NewHost("")
	if err != nil {
		return []Finding{{Part: "gpio", Text: err.Error()}}
	}
	var chips []string
	for _, c := range h.Chips() {
		chips = append(chips, fmt.Sprintf("%s (%s, %d lines)", c.Name, c.Label, len(c.Lines)))
	}
	text := strings.Join(chips, ", ")
	if m := h.Model(); m != "" {
		text = m + ": " + text
	}
	found := append([]Finding{{Part: "gpio", OK: true, Text: text}}, checkPins(cfg.GPIO, h)...)
	if keeps, _ := h.Keeps(); keeps && cfg.GPIO.AmpEnable != "" {
		found = append(found, Finding{Part: "gpio", OK: true, Text: "amp_enable: this kernel leaves it on when the device is killed: dtparam=strict_gpiod in config.txt, or tacet-device quiet after it"})
	}
	return found
}

// lines is where pins are looked up: a gpio.Host.
type lines interface {
	Line(name string) (gpio.Chip, gpio.Line, error)
	PWM(name string) error
}

// checkPins tells of each pin that is configured.
func checkPins(g GPIO, h lines) (found []Finding) {
	pins := [][2]string{{"amp_enable", g.AmpEnable}, {"busy_lamp", g.BusyLamp}, {"status_led", g.StatusLED}, {"mute_button", g.MuteButton}}
	for i, in := range g.Inputs {
		pins = append(pins, [2]string{fmt.Sprintf("inputs[%d]", i), in.Pin})
	}
	for _, p := range pins {
		if p[1] != "" {
			found = append(found, checkPin(p[0], p[1], h))
		}
	}
	return found
}

func checkPin(key, name string, h lines) Finding {
	f := Finding{Part: "gpio", Text: "gpio." + key + ": "}
	if strings.HasPrefix(name, "pwmchip") {
		err := h.PWM(name)
		if f.OK = err == nil; !f.OK {
			f.Text += err.Error()
		} else {
			f.Text += name
		}
		return f
	}
	c, l, err := h.Line(name)
	if err != nil {
		f.Text += err.Error()
		return f
	}
	f.OK = !l.Used || strings.HasPrefix(l.Consumer, "tacet-device") // the device itself, running
	f.Text += fmt.Sprintf("%s, line %d of %s", name, l.Offset, c.Name)
	if l.Used {
		f.Text += fmt.Sprintf(", in use by %q", l.Consumer)
	}
	return f
}
