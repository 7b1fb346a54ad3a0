//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The simulated chip has the names of a Raspberry Pi's header: lines GPIO0 to
// GPIO27 of a chip of the label that the drivers look for.
const (
	simConfig = "/sys/kernel/config/gpio-sim/pi"
	simLabel  = "pinctrl-bcm2711"
	simLines  = 28
)

// makeSim makes the chip (Documentation/admin-guide/gpio/gpio-sim.rst).
func makeSim() error {
	bank := filepath.Join(simConfig, "bank0")
	if err := os.MkdirAll(bank, 0o755); err != nil {
		return err
	}
	set := func(name, value string) error {
		return os.WriteFile(filepath.Join(simConfig, name), []byte(value), 0o644)
	}
	if err := errors.Join(set("bank0/num_lines", fmt.Sprint(simLines)), set("bank0/label", simLabel)); err != nil {
		return err
	}
	for n := range simLines {
		line := fmt.Sprintf("bank0/line%d", n)
		if err := os.Mkdir(filepath.Join(simConfig, line), 0o755); err != nil {
			return err
		}
		if err := set(line+"/name", fmt.Sprintf("GPIO%d", n)); err != nil {
			return err
		}
	}
	return set("live", "1")
}

// simPin is the path of a file of a line: value, which is the level that is seen
// outside, or pull, which is what is applied from outside.
func simPin(n int, file string) (string, error) {
	found, err := filepath.Glob(fmt.Sprintf("/sys/devices/platform/gpio-sim.*/gpiochip*/sim_gpio%d/%s", n, file))
	if err == nil && len(found) == 0 {
		err = fs.ErrNotExist
	}
	if err != nil {
		return "", fmt.Errorf("the simulated line %d: %w", n, err)
	}
	return found[0], nil
}

// simLevel is the level of an output as it is seen outside.
func simLevel(n int) (bool, error) {
	path, err := simPin(n, "value")
	if err != nil {
		return false, err
	}
	raw, err := os.ReadFile(path)
	return strings.TrimSpace(string(raw)) == "1", err
}

// simDrive applies a level to an input from outside.
func simDrive(n int, high bool) error {
	path, err := simPin(n, "pull")
	if err != nil {
		return err
	}
	pull := "pull-down"
	if high {
		pull = "pull-up"
	}
	return os.WriteFile(path, []byte(pull), 0o644)
}
