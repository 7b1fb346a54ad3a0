package gpio

import (
	"strings"
	"testing"
)

func TestParsePin(t *testing.T) {
	good := map[string]string{
		"GPIO17": "GPIO17", "gpio0": "GPIO0", "GPIO27": "GPIO27", "PIN11": "GPIO17", "pin40": "GPIO21", "P1_11": "GPIO17", "p1_3": "GPIO2",
		"gpiochip0/17": "gpiochip0/17", "gpiochip12/0": "gpiochip12/0", "ID_SDA": "ID_SDA", "door": "door",
	}
	for name, want := range good {
		if p, err := ParsePin(name); err != nil || p.String() != want {
			t.Errorf("%q: %v, %v, want %s", name, p, err, want)
		}
	}
	bad := map[string]string{ // the name, and what the error says
		"": "no pin", "17": "GPIO17 or PIN17", "GPIO28": "GPIO0 to GPIO27", "GPIO": "GPIO0 to GPIO27", "GPIO-1": "GPIO0", "GPIO1.5": "GPIO0",
		"PIN0": "40 places", "PIN41": "40 places", "PIN6": "ground", "P1_1": "3.3 V", "PIN2": "5 V", "gpiochip0": "gpiochip0/17", "gpiochip/3": "gpiochip0/17",
		"gpiochip0/x": "gpiochip0/17", "a b": "cannot be the name", strings.Repeat("x", 32): "cannot be the name", "GPIO99999999999999999999": "GPIO0",
	}
	for name, want := range bad {
		if p, err := ParsePin(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v, want an error with %q", name, p, err, want)
		}
	}
}

func TestEveryGPIOIsOnceOnTheHeader(t *testing.T) {
	seen := map[string]bool{}
	for _, line := range header {
		if strings.HasPrefix(line, "GPIO") && seen[line] {
			t.Errorf("%s is there twice", line)
		}
		seen[line] = true
	}
	if len(header) != 40 || len(seen) != 28+3 {
		t.Errorf("%d places, %d of them different", len(header), len(seen))
	}
}

func piChip(label string) Chip {
	c := Chip{Name: "gpiochip0", Label: label, Path: "/dev/gpiochip0"}
	for i := range 54 {
		c.Lines = append(c.Lines, Line{Offset: i, Name: []string{"ID_SDA", "ID_SCL", "SDA1", "SCL1"}[min(i, 3)]})
	}
	return c
}

func TestFind(t *testing.T) {
	named := Chip{Name: "gpiochip1", Label: "sim", Lines: []Line{{Offset: 0, Name: "GPIO4"}, {Offset: 1, Name: "door"}}}
	bare := Chip{Name: "gpiochip2", Label: "9030000.pl061", Lines: make([]Line, 8)}
	cases := []struct {
		name   string
		chips  []Chip
		chip   int
		offset int
		err    string
	}{
		{"GPIO4", []Chip{piChip("pinctrl-bcm2711")}, 0, 4, ""}, // named otherwise by the kernel
		{"GPIO27", []Chip{bare, piChip("pinctrl-rp1")}, 1, 27, ""},
		{"GPIO4", []Chip{named}, 0, 0, ""},
		{"door", []Chip{bare, named}, 1, 1, ""},
		{"gpiochip2/7", []Chip{named, bare}, 1, 7, ""},
		{"GPIO5", []Chip{named}, 0, 0, "there is no pin GPIO5: there are GPIO4 door on sim"},
		{"gpiochip2/8", []Chip{bare}, 0, 0, "gpiochip2/0 to gpiochip2/7 on 9030000.pl061"},
		{"gate", []Chip{piChip("pinctrl-bcm2711")}, 0, 0, "GPIO0 to GPIO27 on pinctrl-bcm2711"},
	}
	for _, c := range cases {
		p, err := ParsePin(c.name)
		if err != nil {
			t.Fatal(err)
		}
		chip, offset, err := find(c.chips, p)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want %q", c.name, err, c.err)
			}
		} else if err != nil || chip != c.chip || offset != c.offset {
			t.Errorf("%s: line %d of chip %d, %v, want %d of %d", c.name, offset, chip, err, c.offset, c.chip)
		}
	}
}
