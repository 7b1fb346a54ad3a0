package sensor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// cpu is the temperature of the processor, by the kernel's thermal zones. Traps:
//
//   - zones are numbered as they come; the processor's is known by its type
//     (cpu-thermal on a Raspberry Pi, x86_pkg_temp on a laptop), the first is
//     taken where none has such a type;
//   - a zone that is asleep answers with an error, or with a value that no
//     processor survives.
type cpu struct{ file string }

func openCPU(_ Config, p Parts) (driver, error) {
	zones, _ := filepath.Glob(filepath.Join(p.Sys, "class", "thermal", "thermal_zone*"))
	best := ""
	for _, z := range zones {
		kind, _ := os.ReadFile(filepath.Join(z, "type"))
		switch strings.TrimSpace(string(kind)) {
		case "cpu-thermal", "cpu_thermal", "x86_pkg_temp", "soc_thermal":
			return cpu{filepath.Join(z, "temp")}, nil
		}
		if best == "" {
			best = filepath.Join(z, "temp")
		}
	}
	if best == "" {
		return nil, fmt.Errorf("the kernel has no thermal zone")
	}
	return cpu{best}, nil
}

func (c cpu) sense(context.Context) ([]Value, error) {
	milli, err := readInt(c.file)
	if err != nil {
		return nil, err
	}
	t := float64(milli) / 1000
	return []Value{{"temperature", t, 1}}, within("temperature", t, -40, 125)
}

func (cpu) close() error { return nil }

// supply is whether the supply of a Raspberry Pi is too weak. Traps:
//
//   - the firmware looks by itself and keeps what it saw; the kernel's driver
//     (raspberrypi_hwmon) asks it every 2 s and tells what was since: a dip is
//     seen, how deep it was is not;
//   - older kernels have get_throttled instead: bit 0 is now, bit 16 since the
//     start, which would alarm for ever after one dip: only bit 0 counts;
//   - other boards have neither.
type supply struct {
	file string
	hex  bool
}

func openSupply(_ Config, p Parts) (driver, error) {
	monitors, _ := filepath.Glob(filepath.Join(p.Sys, "class", "hwmon", "hwmon*"))
	for _, m := range monitors {
		name, _ := os.ReadFile(filepath.Join(m, "name"))
		if strings.TrimSpace(string(name)) == "rpi_volt" {
			return supply{file: filepath.Join(m, "in0_lcrit_alarm")}, nil
		}
	}
	old := filepath.Join(p.Sys, "devices", "platform", "soc", "soc:firmware", "get_throttled")
	if _, err := os.Stat(old); err == nil {
		return supply{file: old, hex: true}, nil
	}
	return nil, fmt.Errorf("the kernel does not tell of the supply's voltage")
}

func (s supply) sense(context.Context) ([]Value, error) {
	read := readInt
	if s.hex {
		read = readHex
	}
	n, err := read(s.file)
	if err != nil {
		return nil, err
	}
	return []Value{{"under_voltage", float64(n & 1), -1}}, nil
}

func (supply) close() error { return nil }

func readInt(file string) (int64, error) { return readNumber(file, 10) }
func readHex(file string) (int64, error) { return readNumber(file, 16) }

func readNumber(file string, base int) (int64, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimPrefix(strings.TrimSpace(string(b)), "0x"), base, 64)
	if err != nil {
		return 0, fmt.Errorf("%s has no number", file)
	}
	return n, nil
}

// CPUTemperature is the processor's temperature in °C, by the kernel below sys,
// which is /sys where it is empty. ok is false where the kernel does not tell it.
func CPUTemperature(sys string) (t float64, ok bool) { return now(openCPU, sys) }

// UnderVoltage tells whether the supply is too weak now, as [CPUTemperature].
func UnderVoltage(sys string) (weak, ok bool) {
	v, ok := now(openSupply, sys)
	return v != 0, ok
}

func now(open func(Config, Parts) (driver, error), sys string) (float64, bool) {
	p := Parts{Sys: sys}
	p.fill()
	d, err := open(Config{}, p)
	if err != nil {
		return 0, false
	}
	values, err := d.sense(context.Background())
	if err != nil {
		return 0, false
	}
	return values[0].Number, true
}
