package sensor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"periph.io/x/conn/v3/onewire"
	"periph.io/x/conn/v3/onewire/onewiretest"
)

// withCRC is a scratchpad with its checksum.
func withCRC(b ...byte) []byte { return append(b, onewire.CalcCRC(b)) }

func slave(pad []byte) string {
	var hex []string
	for _, b := range pad {
		hex = append(hex, fmt.Sprintf("%02x", b))
	}
	line := strings.Join(hex, " ")
	return line + " : crc=00 YES\n" + line + " t=0\n"
}

// wire is a 1-wire bus of the kernel below a directory that stands for /sys.
func wire(t *testing.T, sensors map[string]string) string {
	t.Helper()
	sys := t.TempDir()
	for id, text := range sensors {
		dir := filepath.Join(sys, "bus", "w1", "devices", id)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "w1_slave"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return sys
}

const probe = "28-0316a2b1c2ff"

func TestDS18B20(t *testing.T) {
	cases := []struct {
		name string
		pad  []byte
		want string // the value, or what the error says
	}{
		{"25.0625 °C of the datasheet", withCRC(0x91, 0x01, 0x4b, 0x46, 0x7f, 0xff, 0x0c, 0x10), "25.06"},
		{"-10.125 °C of the datasheet", withCRC(0x5e, 0xff, 0x4b, 0x46, 0x7f, 0xff, 0x0c, 0x10), "-10.12"},
		{"9 bits", withCRC(0x98, 0x01, 0x4b, 0x46, 0x1f, 0xff, 0x0c, 0x10), "25.50"},
		{"it has not measured", withCRC(0x50, 0x05, 0x4b, 0x46, 0x7f, 0xff, 0x0c, 0x10), "has not measured"},
		{"a bit is wrong", append(withCRC(0x91, 0x01, 0x4b, 0x46, 0x7f, 0xff, 0x0c, 0x10)[:8], 0), "incorrect scratchpad CRC"},
		{"broken wire", []byte{255, 255, 255, 255, 255, 255, 255, 255, 255}, "does not answer"},
		{"shorted wire", make([]byte, 9), "may be shorted"},
		{"hotter than it can tell", withCRC(0xff, 0x7f, 0x4b, 0x46, 0x7f, 0xff, 0x0c, 0x10), "is not -55 to 125"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v, err := senseOf(Config{Driver: "ds18b20"}, Parts{Sys: wire(t, map[string]string{probe: slave(c.pad)})})
			if err != nil && !strings.Contains(err.Error(), c.want) || err == nil && v[0].String() != c.want {
				t.Errorf("%v, %v, want %q", v, err, c.want)
			}
		})
	}
}

func TestDS18B20WhichOne(t *testing.T) {
	good := slave(withCRC(0x91, 0x01, 0x4b, 0x46, 0x7f, 0xff, 0x0c, 0x10))
	two := map[string]string{probe: good, "28-000000000001": "00 00"}
	cases := []struct {
		name string
		bus  map[string]string
		id   string
		want string
	}{
		{"none", nil, "", "dtoverlay=w1-gpio"},
		{"another family", map[string]string{"10-000000000001": good}, "", "dtoverlay=w1-gpio"},
		{"two", two, "", "28-000000000001, " + probe},
		{"named", two, probe, "25.06"},
		{"gone", two, "28-00000000000a", "no such file"},
		{"not read", two, "28-000000000001", "may be gone"},
	}
	for _, c := range cases {
		v, err := senseOf(Config{Driver: "ds18b20", ID: c.id}, Parts{Sys: wire(t, c.bus)})
		if err != nil && !strings.Contains(err.Error(), c.want) || err == nil && v[0].String() != c.want {
			t.Errorf("%s: %v, %v, want %q", c.name, v, err, c.want)
		}
	}
}

// What is said on the wire, to the byte: the address, and one command.
func TestDS18B20Transcript(t *testing.T) {
	addr, err := w1Address(probe)
	if err != nil {
		t.Fatal(err)
	}
	bus := &onewiretest.Playback{DontPanic: true, Ops: []onewiretest.IO{{
		W: []byte{0x55, 0x28, 0xff, 0xc2, 0xb1, 0xa2, 0x16, 0x03, 0x00, 0xbe}, R: withCRC(0x91, 0x01, 0x4b, 0x46, 0x7f, 0xff, 0x0c, 0x10)}}}
	d := &ds18{bus: bus, addr: addr}
	if v, err := d.sense(t.Context()); err != nil || v[0].String() != "25.06" {
		t.Errorf("%v, %v", v, err)
	}
	if err := bus.Close(); err != nil {
		t.Error(err)
	}
	for _, w := range [][]byte{{0x55, 0, 0, 0, 0, 0, 0, 0, 0, 0x4e, 0, 0, 0x7f}, {0xcc, 0x44}} {
		if w1File("x").Tx(w, nil, onewire.WeakPullup) == nil || (replay{}).Tx(w, nil, onewire.WeakPullup) == nil {
			t.Errorf("%x was said to the sensor", w)
		}
	}
}
