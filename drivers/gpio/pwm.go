package gpio

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/physic"
)

// parsePWM reads the name of a pulse-width output, such as pwmchip0/1.
func parsePWM(name string) (chip string, channel int, err error) {
	chip, rest, _ := strings.Cut(name, "/")
	_, cok := number(strings.TrimPrefix(chip, "pwmchip"))
	channel, ok := number(rest)
	if !strings.HasPrefix(chip, "pwmchip") || !cok || !ok {
		return "", 0, fmt.Errorf("%q is not of the form pwmchip0/1", name)
	}
	return chip, channel, nil
}

// pwm is a pulse-width output of the kernel, by /sys/class/pwm (on a Raspberry Pi
// with dtoverlay=pwm). It has the methods of conn's gpio.PinOut, of which Out is
// full on or off. The kernel's rules, each an error to break: there is a period
// before there is a duty, and the duty is never longer than the period.
type pwm struct {
	name    string
	channel int
	chip    string // directory
	dir     string // of the channel
}

// exportTime is how long a channel takes to appear, and for udev to let the group
// write to it.
const exportTime = time.Second

// findPWM is an output that there is; it changes nothing.
func findPWM(root, name string) (*pwm, error) {
	chip, channel, err := parsePWM(name)
	if err != nil {
		return nil, err
	}
	p := &pwm{name: name, channel: channel, chip: filepath.Join(root, chip)}
	p.dir = filepath.Join(p.chip, fmt.Sprint("pwm", channel))
	n, err := readInt(filepath.Join(p.chip, "npwm"))
	if err != nil {
		return nil, fmt.Errorf("there is no %s (dtoverlay=pwm?): %w", chip, err)
	}
	if int64(channel) >= n {
		return nil, fmt.Errorf("there is no pin %s: %s has %d outputs", name, chip, n)
	}
	return p, nil
}

func openPWM(root, name string) (*pwm, error) {
	p, err := findPWM(root, name)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(p.dir); err == nil { // somebody has exported it already
		return p, p.Halt()
	}
	if err := writeInt(filepath.Join(p.chip, "export"), int64(p.channel)); err != nil {
		return nil, err
	}
	return p, p.appear()
}

// appear waits until the channel can be used.
func (p *pwm) appear() error {
	var err error
	for end := time.Now().Add(exportTime); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		var f *os.File
		if f, err = os.OpenFile(filepath.Join(p.dir, "enable"), os.O_WRONLY, 0); err == nil {
			return f.Close()
		}
	}
	return err
}

func (p *pwm) write(file string, v int64) error { return writeInt(filepath.Join(p.dir, file), v) }

// Out is full on, or off.
func (p *pwm) Out(l gpio.Level) error {
	if !l {
		return p.Halt()
	}
	return p.PWM(gpio.DutyMax, lampFrequency)
}

// PWM is on for a part of the time.
func (p *pwm) PWM(duty gpio.Duty, f physic.Frequency) error {
	if !duty.Valid() || f.Period() <= 0 || f.Period() > time.Minute {
		return fmt.Errorf("%s: duty %v at %v is not possible", p.name, duty, f)
	}
	period := int64(f.Period())
	was, err := readInt(filepath.Join(p.dir, "period"))
	if err == nil && was > period {
		err = p.write("duty_cycle", 0)
	}
	if err == nil && was != period {
		err = p.write("period", period)
	}
	if err != nil {
		return err
	}
	if err := p.write("duty_cycle", period*int64(duty)/int64(gpio.DutyMax)); err != nil {
		return err
	}
	return p.write("enable", 1)
}

// Close switches the output off and gives it back.
func (p *pwm) Close() error {
	return errors.Join(p.Halt(), writeInt(filepath.Join(p.chip, "unexport"), int64(p.channel)))
}

// Halt switches the output off.
func (p *pwm) Halt() error {
	if on, err := readInt(filepath.Join(p.dir, "enable")); err == nil && on == 0 {
		return nil // to say so again is an error while there is no period
	}
	return p.write("enable", 0)
}

// Name, Number, Function and String are for people.
func (p *pwm) Name() string     { return p.name }
func (p *pwm) Number() int      { return p.channel }
func (p *pwm) Function() string { return "PWM" }
func (p *pwm) String() string   { return p.name }

func readInt(file string) (int64, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
}

// writeInt writes a number to a file of the kernel, which is there already.
func writeInt(file string, v int64) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%d\n", v)
	return errors.Join(err, f.Close())
}

var _ gpio.PinOut = (*pwm)(nil)
