package sensor

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"periph.io/x/conn/v3/onewire"
	"periph.io/x/devices/v3/ds18b20"
)

// The DS18B20, by Maxim's datasheet 19-7487, and its traps:
//
//   - 85 °C is what it says before it has measured (and when its supply is too
//     weak to measure, as with long wires and parasite power): it is an error.
//     The library means to refuse it and does not: it compares kelvins;
//   - a wire that is broken reads as ones, one that is shorted as zeros: the
//     zeros have a valid checksum, so a scratchpad of nothing is an error too
//     (its configuration register always has five ones, p. 8);
//   - a measurement takes up to 750 ms, at 12 bits;
//   - copies of it are common, and some do not measure at other resolutions: it
//     is left as it is.
//
// The bus belongs to the kernel (dtoverlay=w1-gpio), whose driver w1_therm
// measures when its file is read; talking to the bus beside it would take the
// rights of root. So what the library gets as its bus is that file.
type ds18 struct {
	bus  onewire.Bus
	addr onewire.Address
}

const familyDS18B20 = "28-"

func isW1(id string) bool {
	_, err := w1Address(id)
	return err == nil
}

// w1Address is the address of 28-0316a2b1c2ff, with its checksum.
func w1Address(id string) (onewire.Address, error) {
	family, serial, ok := strings.Cut(id, "-")
	f, ferr := strconv.ParseUint(family, 16, 8)
	s, serr := strconv.ParseUint(serial, 16, 48)
	if !ok || ferr != nil || serr != nil || len(family) != 2 || len(serial) != 12 {
		return 0, fmt.Errorf("%q is no address of a sensor", id)
	}
	return onewire.Address(s<<8 | f), nil // the checksum is not sent by the file
}

func openDS18B20(c Config, p Parts) (driver, error) {
	root := filepath.Join(p.Sys, "bus", "w1", "devices")
	id := c.ID
	if id == "" {
		all, err := filepath.Glob(filepath.Join(root, familyDS18B20+"*"))
		if err != nil || len(all) == 0 {
			return nil, fmt.Errorf("there is none on a 1-wire bus (dtoverlay=w1-gpio?)")
		}
		if len(all) > 1 {
			return nil, fmt.Errorf("there are %s: say which, by id", strings.Join(bases(all), ", "))
		}
		id = filepath.Base(all[0])
	}
	addr, err := w1Address(id)
	if err != nil {
		return nil, err
	}
	return &ds18{bus: w1File(filepath.Join(root, id, "w1_slave")), addr: addr}, nil
}

func bases(paths []string) (names []string) {
	for _, p := range paths {
		names = append(names, filepath.Base(p))
	}
	return names
}

func (d *ds18) sense(context.Context) ([]Value, error) {
	pad, err := readScratchpad(d.bus, d.addr)
	if err != nil {
		return nil, err
	}
	dev, err := ds18b20.New(replay{d.bus, pad}, d.addr, int(pad[4]>>5&3)+9)
	if err != nil {
		return nil, err
	}
	t, err := dev.LastTemp()
	if err != nil {
		return nil, err
	}
	return []Value{{"temperature", t.Celsius(), 2}}, within("temperature", t.Celsius(), -55, 125)
}

func (d *ds18) close() error { return nil }

// readScratchpad reads what the sensor has measured.
func readScratchpad(bus onewire.Bus, addr onewire.Address) ([]byte, error) {
	pad := make([]byte, 9)
	dev := onewire.Dev{Bus: bus, Addr: addr}
	if err := dev.Tx([]byte{cmdReadScratchpad}, pad); err != nil {
		return nil, err
	}
	switch {
	case !slices.ContainsFunc(pad, func(b byte) bool { return b != 0xff }):
		return nil, errors.New("it does not answer")
	case pad[0] == 0x50 && pad[1] == 0x05:
		return nil, errors.New("85 °C: it has not measured, its supply may be too weak")
	case pad[4]&0x1f != 0x1f:
		return nil, errors.New("its answer is none of a DS18B20: the wire may be shorted")
	}
	return pad, nil
}

const (
	cmdMatchROM       = 0x55
	cmdReadScratchpad = 0xbe
)

// replay is a bus on which a scratchpad was read already: reading the file again
// would measure again.
type replay struct {
	onewire.Bus
	pad []byte
}

// Tx answers the scratchpad.
func (b replay) Tx(w, r []byte, _ onewire.Pullup) error {
	if len(w) != 10 || w[9] != cmdReadScratchpad || len(r) > len(b.pad) {
		return fmt.Errorf("%x is not to be said to the sensor", w)
	}
	copy(r, b.pad)
	return nil
}

// w1File is a 1-wire bus with one sensor, by the file of w1_therm, which has the
// scratchpad in hexadecimal:
//
//	50 05 4b 46 7f ff 0c 10 1c : crc=1c YES
//	50 05 4b 46 7f ff 0c 10 1c t=85000
type w1File string

// Tx measures, and answers the scratchpad.
func (f w1File) Tx(w, r []byte, _ onewire.Pullup) error {
	if len(w) != 10 || w[0] != cmdMatchROM || w[9] != cmdReadScratchpad {
		return fmt.Errorf("the kernel's driver has no way to say %x", w)
	}
	b, err := os.ReadFile(string(f))
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(string(b), " :")
	pad, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(line), " ", ""))
	if err != nil || len(pad) != 9 || len(r) > 9 {
		return fmt.Errorf("%s does not have a scratchpad: the sensor may be gone", string(f))
	}
	copy(r, pad)
	return nil
}

// Search is not needed: the kernel searches.
func (f w1File) Search(bool) ([]onewire.Address, error) { return nil, errors.ErrUnsupported }

func (f w1File) String() string { return string(f) }
