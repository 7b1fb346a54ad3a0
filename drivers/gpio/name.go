package gpio

import (
	"fmt"
	"strconv"
	"strings"
)

// A Pin says which line of which chip is meant.
type Pin struct {
	Line   string // the kernel's name of the line, such as GPIO17; empty where Chip is set
	GPIO   int    // number of a line that is named GPIO0 to GPIO27; else -1
	Chip   string // such as gpiochip0
	Offset int    // of the line on Chip
}

// String is the name that [ParsePin] reads.
func (p Pin) String() string {
	if p.Chip != "" {
		return fmt.Sprintf("%s/%d", p.Chip, p.Offset)
	}
	return p.Line
}

// ParsePin reads the name of a pin:
//
//	GPIO17        the numbers of Broadcom, GPIO0 to GPIO27
//	PIN11, P1_11  the place on the 40-pin header, which GPIO17 is at
//	gpiochip0/17  a line of a chip, for boards whose lines have no names
//	anything else the name that the kernel has for a line
//
// A bare number is refused, since it can mean any of the first three. Case does
// not matter but in the kernel's names. Its error says what is wrong; whether the
// board has such a line is not looked at.
func ParsePin(name string) (Pin, error) {
	upper := strings.ToUpper(name)
	switch {
	case name == "":
		return Pin{}, fmt.Errorf("no pin is named")
	case strings.Trim(name, "0123456789") == "":
		return Pin{}, fmt.Errorf("%q may be a GPIO or a place on the header: write GPIO%s or PIN%s", name, name, name)
	case strings.HasPrefix(upper, "PIN"), strings.HasPrefix(upper, "P1_"):
		return headerPin(name, upper[3:])
	case strings.HasPrefix(upper, "GPIOCHIP"):
		return chipPin(name, upper[len("GPIOCHIP"):])
	case strings.HasPrefix(upper, "GPIO"):
		return gpioPin(name, upper[len("GPIO"):])
	case len(name) > 31 || strings.ContainsAny(name, " \t\n\x00"):
		return Pin{}, fmt.Errorf("%q cannot be the name of a line", name)
	}
	return Pin{Line: name, GPIO: -1}, nil
}

const mostGPIO = 27 // those that the header has

func gpioPin(name, digits string) (Pin, error) {
	n, ok := number(digits)
	if !ok || n > mostGPIO {
		return Pin{}, fmt.Errorf("%q is none of GPIO0 to GPIO%d", name, mostGPIO)
	}
	return Pin{Line: fmt.Sprint("GPIO", n), GPIO: n}, nil
}

func headerPin(name, digits string) (Pin, error) {
	n, ok := number(digits)
	if !ok || n < 1 || n > len(header) {
		return Pin{}, fmt.Errorf("%q is none of the %d places on the header", name, len(header))
	}
	line := header[n-1]
	if !strings.HasPrefix(line, "GPIO") {
		return Pin{}, fmt.Errorf("%q is %s, which cannot be switched", name, line)
	}
	return gpioPin(name, line[len("GPIO"):])
}

func chipPin(name, rest string) (Pin, error) {
	chip, offset, _ := strings.Cut(rest, "/")
	c, cok := number(chip)
	n, nok := number(offset)
	if !cok || !nok {
		return Pin{}, fmt.Errorf("%q is not of the form gpiochip0/17", name)
	}
	return Pin{GPIO: -1, Chip: fmt.Sprint("gpiochip", c), Offset: n}, nil
}

// number reads a plain decimal of at most four digits.
func number(s string) (int, bool) {
	if s == "" || len(s) > 4 || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}

// header is the 40-pin header of every Raspberry Pi since the B+.
var header = [...]string{
	"3.3 V", "5 V", "GPIO2", "5 V", "GPIO3", "ground", "GPIO4", "GPIO14", "ground", "GPIO15",
	"GPIO17", "GPIO18", "GPIO27", "ground", "GPIO22", "GPIO23", "3.3 V", "GPIO24", "GPIO10", "ground",
	"GPIO9", "GPIO25", "GPIO11", "GPIO8", "ground", "GPIO7", "GPIO0", "GPIO1", "GPIO5", "ground",
	"GPIO6", "GPIO12", "GPIO13", "ground", "GPIO19", "GPIO16", "GPIO26", "GPIO20", "ground", "GPIO21",
}
