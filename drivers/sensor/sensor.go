package sensor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"periph.io/x/conn/v3/i2c"
)

// Config says what one sensor is, and where.
type Config struct {
	Driver      string        // one of [Drivers]
	Name        string        // channel of its readings; empty: none, for cpu and supply their own
	Bus         string        // bme280: number of the I²C bus; empty: 1
	Address     int           // bme280: 0x76 or 0x77; 0: 0x76
	ID          string        // ds18b20: such as 28-0316a2b1c2ff; empty: the only one there is
	Card        string        // noise: of the microphone; empty: the first
	Calibration float64       // noise: dB that full scale is; 0: the reading is dBFS, below 0
	Every       time.Duration // 0: as the driver has it
}

// Value is one thing that was measured.
type Value struct {
	Metric string // temperature, humidity, pressure, noise, under_voltage
	Number float64
	Digits int // after the point; below 0: a state, which is true where Number is not 0
}

// String is the value as it is published.
func (v Value) String() string {
	if v.Digits < 0 {
		return strconv.FormatBool(v.Number != 0)
	}
	return strconv.FormatFloat(v.Number, 'f', v.Digits, 64)
}

// Microphone gives 16 bit little-endian samples, mono, at the rate that it was
// opened with; a Read blocks for at most a few seconds.
type Microphone interface {
	Read(samples []byte) (int, error)
	Close() error
}

// Parts is where the drivers find their hardware.
type Parts struct {
	Sys string // where /sys is; empty: there
	// I2C opens an I²C bus; nil: the kernel's.
	I2C func(bus int) (i2c.BusCloser, error)
	// Microphone opens one; nil: there is none.
	Microphone func(card string, rate int) (Microphone, error)
}

func (p *Parts) fill() {
	if p.Sys == "" {
		p.Sys = "/sys"
	}
	if p.I2C == nil {
		p.I2C = openI2C
	}
}

// driver is an open sensor; it belongs to one goroutine.
type driver interface {
	sense(ctx context.Context) ([]Value, error)
	close() error
}

// kind is what is known of a driver before it is opened.
type kind struct {
	open    func(Config, Parts) (driver, error)
	metrics []string
	every   time.Duration
	least   time.Duration // more often it would disturb what it measures
	name    string        // where the configuration has none
}

var kinds = map[string]kind{
	"bme280":  {openBME280, []string{"temperature", "humidity", "pressure"}, 30 * time.Second, time.Second, ""},
	"ds18b20": {openDS18B20, []string{"temperature"}, 30 * time.Second, 2 * time.Second, ""},
	"noise":   {openNoise, []string{"noise"}, 10 * time.Second, 2 * time.Second, ""},
	"cpu":     {openCPU, []string{"temperature"}, 30 * time.Second, time.Second, "cpu"},
	"supply":  {openSupply, []string{"under_voltage"}, 30 * time.Second, time.Second, "supply"},
}

// Drivers is the names of all drivers.
func Drivers() []string { return slices.Sorted(maps.Keys(kinds)) }

// A Fault is what is wrong with one key of a configuration.
type Fault struct {
	Key  string // such as [1].driver
	Text string
}

// Faults tells everything that is wrong with sensors, by key.
func Faults(sensors []Config) (faults []Fault) {
	given := map[string]string{}
	for i, c := range sensors {
		at := fmt.Sprintf("[%d]", i)
		fault := func(bad bool, key, format string, args ...any) {
			if bad {
				faults = append(faults, Fault{at + key, fmt.Sprintf(format, args...)})
			}
		}
		k, ok := kinds[c.Driver]
		fault(!ok, ".driver", "%q is none of %s", c.Driver, strings.Join(Drivers(), ", "))
		fault(c.Every < 0 || c.Every > 0 && c.Every < k.least || c.Every > 24*time.Hour, ".every", "%v is not %v to 24 h", c.Every, k.least)
		fault(c.Name != "" && !isName(c.Name), ".name", "%q is not 1 to 64 of A-Z a-z 0-9 _ -", c.Name)
		fault(c.Driver == "bme280" && !slices.Contains([]int{0, 0x76, 0x77}, c.Address), ".address", "%#x is neither 0x76 nor 0x77", c.Address)
		_, err := busNumber(c.Bus)
		fault(err != nil, ".bus", "%v", err)
		fault(c.ID != "" && !isW1(c.ID), ".id", "%q is not of the form 28-0316a2b1c2ff", c.ID)
		c.fill()
		for _, m := range k.metrics {
			what := c.Name + "/" + m
			fault(given[what] != "", ".name", "sensors%s measures %s too: give one of them a name", given[what], m)
			given[what] = at
		}
	}
	return faults
}

// fill sets what is left out.
func (c *Config) fill() {
	k := kinds[c.Driver]
	if c.Name == "" {
		c.Name = k.name
	}
	if c.Every == 0 {
		c.Every = k.every
	}
	if c.Address == 0 {
		c.Address = 0x76
	}
}

func isName(s string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
	return len(s) <= 64 && strings.Trim(s, letters) == ""
}

func busNumber(s string) (int, error) {
	if s == "" {
		return 1, nil
	}
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil {
		return 0, fmt.Errorf("%q is not the number of a bus, 0 to 255", s)
	}
	return int(n), nil
}

// within is an error where a value is not what the datasheet promises.
func within(what string, v, least, most float64) error {
	if v >= least && v <= most {
		return nil
	}
	return fmt.Errorf("%s %.1f is not %g to %g", what, v, least, most)
}

// Measure measures once, by a sensor that is opened for it.
func Measure(ctx context.Context, c Config, p Parts) ([]Value, error) {
	if faults := Faults([]Config{c}); len(faults) > 0 {
		return nil, fmt.Errorf("%s: %s", faults[0].Key, faults[0].Text)
	}
	c.fill()
	p.fill()
	d, err := kinds[c.Driver].open(c, p)
	if err != nil {
		return nil, err
	}
	values, err := d.sense(ctx)
	if err = errors.Join(err, d.close()); err != nil {
		return nil, err
	}
	return values, nil
}
