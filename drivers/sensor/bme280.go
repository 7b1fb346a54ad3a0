package sensor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/devices/v3/bmxx80"
	"periph.io/x/host/v3/sysfs"
)

// The BME280, by Bosch's datasheet BST-BME280-DS001, and its traps:
//
//   - it looks alive when it is not: a bus without a chip reads as zeros or as
//     0xFF, which the chip's id (register 0xD0, 0x60) tells;
//   - a BMP280, sold under the same name, has another id and no humidity;
//   - what was not measured reads as 0x80000 (humidity 0x8000), which
//     compensates to a plausible temperature (§4.2.3). So does a chip that has
//     lost its power for a moment: it has forgotten that it is to measure
//     humidity, and has to be set up again;
//   - calibration that was read wrong gives wrong values for ever, which may be
//     plausible (all ones are 0 °C): one that reads as nothing is refused, and it
//     is read again after each error;
//   - bit 3 of its status stays set on a bus that reads as ones; the library waits
//     for it without an end, so that the bus here ends it;
//   - the first value after the start is poor;
//   - it warms itself by about 1 °C when it is asked all the time: at most once a
//     second here, and in forced mode, in which it sleeps in between.
type bme280 struct {
	bus   i2c.BusCloser
	guard *guardedBus
	dev   *bmxx80.Dev
	bme   bool
	fresh bool // nothing was measured yet
}

func openI2C(bus int) (i2c.BusCloser, error) { return sysfs.NewI2C(bus) }

func openBME280(c Config, p Parts) (driver, error) {
	n, err := busNumber(c.Bus)
	if err != nil {
		return nil, err
	}
	bus, err := p.I2C(n)
	if err != nil {
		return nil, fmt.Errorf("I²C bus %d: %w", n, err)
	}
	d := &bme280{bus: bus, guard: &guardedBus{Bus: bus}, fresh: true}
	d.guard.begin()
	d.dev, err = bmxx80.NewI2C(d.guard, uint16(c.Address), &bmxx80.Opts{Temperature: bmxx80.O1x, Pressure: bmxx80.O1x, Humidity: bmxx80.O1x})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("at %#x of I²C bus %d: %w", c.Address, n, err), bus.Close())
	}
	if d.guard.blank {
		return nil, errors.Join(errors.New("its calibration reads as nothing"), bus.Close())
	}
	d.bme = d.guard.id == idBME280
	return d, nil
}

func (d *bme280) sense(context.Context) ([]Value, error) {
	if d.fresh {
		if _, err := d.once(); err != nil {
			return nil, err
		}
		d.fresh = false
	}
	return d.once()
}

func (d *bme280) once() ([]Value, error) {
	d.guard.begin()
	var e physic.Env
	if err := d.dev.Sense(&e); err != nil {
		return nil, err
	}
	if d.guard.skipped {
		return nil, errors.New("it has not measured: it was without power, or is set up wrong")
	}
	t := e.Temperature.Celsius()
	p := float64(e.Pressure) / float64(physic.Pascal) / 100
	h := float64(e.Humidity) / float64(physic.PercentRH)
	values := []Value{{"temperature", t, 2}, {"pressure", p, 1}}
	err := errors.Join(within("temperature", t, -40, 85), within("pressure", p, 300, 1100)) // §1.2
	if d.bme {
		values = append(values, Value{"humidity", h, 1})
		err = errors.Join(err, within("humidity", h, 0, 100))
	}
	return values, err
}

func (d *bme280) close() error { return d.bus.Close() }

// guardedBus ends what a library would wait for without an end, and sees what it
// does not look at. It belongs to one goroutine.
type guardedBus struct {
	i2c.Bus
	until   time.Time
	left    int
	id      byte
	blank   bool // the calibration is all zeros or ones
	skipped bool // the newest values were not measured
}

// What one measurement may take: the library reads the status again and again.
const (
	busTime = 2 * time.Second
	busMost = 200

	regID     = 0xD0
	regCal    = 0x88
	regHumCal = 0xE1
	regValues = 0xF7
	idBME280  = 0x60
)

var errBusStuck = errors.New("the chip is busy without an end")

func (g *guardedBus) begin() { g.until, g.left, g.skipped = time.Now().Add(busTime), busMost, false }

// Tx is a transaction.
func (g *guardedBus) Tx(addr uint16, w, r []byte) error {
	if g.left--; g.left < 0 || time.Now().After(g.until) {
		return errBusStuck
	}
	if err := g.Bus.Tx(addr, w, r); err != nil {
		return err
	}
	switch {
	case len(w) != 1 || len(r) == 0:
	case w[0] == regID:
		g.id = r[0]
	case w[0] == regCal, w[0] == regHumCal:
		g.blank = g.blank || bytes.Count(r, r[:1]) == len(r) && (r[0] == 0 || r[0] == 0xff)
	case w[0] == regValues && len(r) >= 6:
		g.skipped = unmeasured(r[0:3]) || unmeasured(r[3:6]) || len(r) == 8 && r[6] == 0x80 && r[7] == 0
	}
	return nil
}

// unmeasured tells whether 20 bits are 0x80000.
func unmeasured(b []byte) bool { return b[0] == 0x80 && b[1] == 0 && b[2]>>4 == 0 }
