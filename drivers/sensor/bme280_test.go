package sensor

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/i2c/i2ctest"
	"periph.io/x/conn/v3/physic"
)

// The calibration and the raw values of the example in Bosch's datasheet of the
// BMP280, §3.12: 25.08 °C and 1006.53 hPa. The humidity's are those of some chip.
var (
	calibration = []byte{
		0x70, 0x6b, 0x43, 0x67, 0x18, 0xfc, // T1 27504, T2 26435, T3 -1000
		0x7d, 0x8e, 0x43, 0xd6, 0xd0, 0x0b, 0x27, 0x0b, 0x8c, 0x00, 0xf9, 0xff, // P1 36477 … P6 -7
		0x8c, 0x3c, 0xf8, 0xc6, 0x70, 0x17, // P7 15500, P8 -14600, P9 6000
		0x00, 75, // H1
	}
	humidity = []byte{0x6c, 0x01, 0x00, 0x13, 0x29, 0x03, 0x1e} // H2 364, H3 0, H4 313, H5 50, H6 30
	example  = []byte{0x65, 0x5a, 0xc0, 0x7e, 0xed, 0x00, 0x65, 0x90}
)

// relative is §4.2.3 of the datasheet in floating point, for the calibration
// above.
func relative(raw, celsius float64) float64 {
	fine := celsius*5120 - 76800
	h := (raw - (313*64 + 50.0/16384*fine)) * (364.0 / 65536 * (1 + 30.0/67108864*fine))
	return h * (1 - 75*h/524288)
}

// chip is a BME280 by its registers. A register that is not there reads as idle.
type chip struct {
	mu    sync.Mutex
	regs  map[byte][]byte
	idle  byte
	err   error
	reads map[byte]int
}

func newChip() *chip {
	return &chip{reads: map[byte]int{}, regs: map[byte][]byte{0xD0: {0x60}, 0x88: calibration, 0xE1: humidity, 0xF3: {0}, 0xF7: example}}
}

func (c *chip) Tx(_ uint16, w, r []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if len(r) > 0 {
		c.reads[w[0]]++
		for i := range r {
			r[i] = c.idle
		}
		copy(r, c.regs[w[0]])
	}
	return nil
}

// fail has every transaction fail, or none.
func (c *chip) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

// read is how often a register was read.
func (c *chip) read(reg byte) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reads[reg]
}

func (c *chip) dead(idle byte) *chip { c.regs, c.idle = nil, idle; return c }

// on is the parts of a test in which every bus is this one.
func on(bus i2c.Bus) Parts {
	return Parts{I2C: func(int) (i2c.BusCloser, error) { return closer{bus}, nil }}
}

type closer struct{ i2c.Bus }

func (closer) Close() error   { return nil }
func (closer) String() string { return "bus" }

func (c *chip) SetSpeed(f physic.Frequency) error { return nil }
func (c *chip) String() string                    { return "chip" }

func senseOf(c Config, p Parts) ([]Value, error) { return Measure(context.Background(), c, p) }

// What is said to the chip, to the byte.
func TestBME280Transcript(t *testing.T) {
	bus := &i2ctest.Playback{DontPanic: true, Ops: []i2ctest.IO{
		{Addr: 0x77, W: []byte{0xD0}, R: []byte{0x60}},
		{Addr: 0x77, W: []byte{0x88}, R: calibration},
		{Addr: 0x77, W: []byte{0xE1}, R: humidity},
		{Addr: 0x77, W: []byte{0xF4, 0x24, 0xF2, 0x01, 0xF5, 0xA0, 0xF4, 0x24}},
		{Addr: 0x77, W: []byte{0xF4, 0x25}}, {Addr: 0x77, W: []byte{0xF3}, R: []byte{0}}, {Addr: 0x77, W: []byte{0xF7}, R: make([]byte, 8)},
		{Addr: 0x77, W: []byte{0xF4, 0x25}}, {Addr: 0x77, W: []byte{0xF3}, R: []byte{8}}, {Addr: 0x77, W: []byte{0xF3}, R: []byte{0}}, {Addr: 0x77, W: []byte{0xF7}, R: example},
	}}
	bus.Ops[6].R = slices.Clone(example) // the first values, which are not believed
	v, err := senseOf(Config{Driver: "bme280", Address: 0x77}, on(bus))
	if err != nil || len(v) != 3 {
		t.Fatalf("%v, %v", v, err)
	}
	if v[0].String() != "25.08" || v[1].String() != "1006.5" {
		t.Errorf("%v °C and %v hPa, the datasheet has 25.08 and 1006.53", v[0], v[1])
	}
	if want := relative(0x6590, 25.08); math.Abs(v[2].Number-want) > 0.1 {
		t.Errorf("%v %%, by the datasheet's formula %.1f", v[2], want)
	}
	if err := bus.Close(); err != nil {
		t.Error(err)
	}
}

// A chip that is not there, or not well, gives an error and no value.
func TestBME280Hostile(t *testing.T) {
	raw := func(b ...byte) func(*chip) { return func(c *chip) { c.regs[0xF7] = b } }
	cases := []struct {
		name string
		make func(*chip)
		want string
	}{
		{"nothing on the bus", func(c *chip) { c.err = errors.New("remote I/O error") }, "remote I/O error"},
		{"all zeros", func(c *chip) { c.dead(0) }, "unexpected chip id 0"},
		{"all ones", func(c *chip) { c.dead(0xff) }, "unexpected chip id ff"},
		{"another chip", func(c *chip) { c.regs[0xD0] = []byte{0x61} }, "unexpected chip id 61"},
		{"busy for ever", func(c *chip) { c.regs[0xF3] = []byte{0xff} }, "busy without an end"},
		{"without power for a moment", raw(0x80, 0, 0, 0x80, 0, 0, 0x80, 0), "without power"},
		{"humidity not measured", raw(0x65, 0x5a, 0xc0, 0x7e, 0xed, 0x00, 0x80, 0), "without power"},
		{"values of zeros", raw(0, 0, 0, 0, 0, 0, 0, 0), "is not"},
		{"values of ones", raw(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), "is not"},
		{"calibration of zeros", func(c *chip) { c.regs[0x88], c.regs[0xE1] = nil, nil }, "reads as nothing"},
		{"calibration of ones", func(c *chip) { c.regs[0x88], c.regs[0xE1], c.idle = nil, nil, 0xff }, "reads as nothing"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newChip()
				tc.make(c)
				began := time.Now()
				v, err := senseOf(Config{Driver: "bme280"}, on(c))
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("%v, %v, want an error with %q", v, err, tc.want)
				}
				if took := time.Since(began); took > busTime+time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// A BMP280, which is sold as a BME280, has no humidity.
func TestBMP280(t *testing.T) {
	c := newChip()
	c.regs[0xD0] = []byte{0x58}
	v, err := senseOf(Config{Driver: "bme280"}, on(c))
	if err != nil || len(v) != 2 {
		t.Errorf("%v, %v", v, err)
	}
}
