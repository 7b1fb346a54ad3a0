package sensor

import (
	"strings"
	"testing"
	"time"
)

func TestFaults(t *testing.T) {
	cases := []struct {
		name string
		list []Config
		want []string // beginnings
	}{
		{"all there are", []Config{{Driver: "bme280"}, {Driver: "ds18b20", Name: "cellar"}, {Driver: "noise"}, {Driver: "cpu"}, {Driver: "supply"}}, nil},
		{"unknown", []Config{{Driver: "bmp"}}, []string{`[0].driver: "bmp" is none of bme280, cpu, ds18b20, noise, supply`}},
		{"two thermometers", []Config{{Driver: "bme280"}, {Driver: "ds18b20"}}, []string{"[1].name: sensors[0] measures temperature too"}},
		{"two with names", []Config{{Driver: "bme280", Name: "in"}, {Driver: "bme280", Name: "out", Address: 0x77, Bus: "0"}}, nil},
		{"too often", []Config{{Driver: "ds18b20", Every: time.Second}, {Driver: "cpu", Every: -1}, {Driver: "supply", Every: 25 * time.Hour}}, []string{"[0].every: ", "[1].every: ", "[2].every: "}},
		{"places", []Config{{Driver: "bme280", Address: 0x40, Bus: "i2c-1", Name: "a b"}, {Driver: "ds18b20", ID: "28-03"}},
			[]string{"[0].name: ", "[0].address: 0x40", `[0].bus: "i2c-1"`, `[1].id: "28-03"`}},
	}
	for _, c := range cases {
		got := Faults(c.list)
		var lines []string
		for _, f := range got {
			lines = append(lines, f.Key+": "+f.Text)
		}
		ok := len(got) == len(c.want)
		for i := range min(len(got), len(c.want)) {
			ok = ok && strings.HasPrefix(lines[i], c.want[i])
		}
		if !ok {
			t.Errorf("%s: got %q, want %q", c.name, lines, c.want)
		}
		if _, err := New(c.list, Parts{}, nil); (err != nil) != (len(c.want) > 0) {
			t.Errorf("%s: New: %v", c.name, err)
		}
	}
}

func TestValueIsPublishedAs(t *testing.T) {
	for want, v := range map[string]Value{"21.50": {"temperature", 21.5, 2}, "-3": {"x", -3.2, 0}, "true": {"under_voltage", 1, -1}, "false": {"under_voltage", 0, -1}} {
		if v.String() != want {
			t.Errorf("%+v is %q, want %q", v, v, want)
		}
	}
}
