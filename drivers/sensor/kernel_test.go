package sensor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree is files below a directory that stands for /sys.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	sys := t.TempDir()
	for name, text := range files {
		file := filepath.Join(sys, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return sys
}

func TestKernelSensors(t *testing.T) {
	const zones, mon, throttled = "class/thermal/thermal_zone", "class/hwmon/hwmon", "devices/platform/soc/soc:firmware/get_throttled"
	cases := []struct {
		name, driver string
		files        map[string]string
		want         string // the value, or what the error says
	}{
		{"Raspberry Pi", "cpu", map[string]string{zones + "0/type": "cpu-thermal\n", zones + "0/temp": "48312\n"}, "48.3"},
		{"the second zone", "cpu", map[string]string{zones + "0/type": "acpitz\n", zones + "0/temp": "20000\n", zones + "1/type": "x86_pkg_temp\n", zones + "1/temp": "61000\n"}, "61.0"},
		{"some zone", "cpu", map[string]string{zones + "0/type": "acpitz\n", zones + "0/temp": "20000\n"}, "20.0"},
		{"no zone", "cpu", nil, "no thermal zone"},
		{"a zone that sleeps", "cpu", map[string]string{zones + "0/type": "cpu-thermal\n", zones + "0/temp": "-274000\n"}, "is not -40 to 125"},
		{"words", "cpu", map[string]string{zones + "0/type": "cpu-thermal\n", zones + "0/temp": "hot\n"}, "has no number"},
		{"gone", "cpu", map[string]string{zones + "0/type": "cpu-thermal\n"}, "no such file"},
		{"weak supply", "supply", map[string]string{mon + "0/name": "cpu_thermal\n", mon + "1/name": "rpi_volt\n", mon + "1/in0_lcrit_alarm": "1\n"}, "true"},
		{"good supply", "supply", map[string]string{mon + "1/name": "rpi_volt\n", mon + "1/in0_lcrit_alarm": "0\n"}, "false"},
		{"older kernel, weak now", "supply", map[string]string{throttled: "50005\n"}, "true"},
		{"older kernel, weak once", "supply", map[string]string{throttled: "50000\n"}, "false"},
		{"another board", "supply", map[string]string{mon + "0/name": "coretemp\n"}, "does not tell"},
	}
	for _, c := range cases {
		sys := tree(t, c.files)
		v, err := senseOf(Config{Driver: c.driver}, Parts{Sys: sys})
		if err != nil && !strings.Contains(err.Error(), c.want) || err == nil && v[0].String() != c.want {
			t.Errorf("%s: %v, %v, want %q", c.name, v, err, c.want)
		}
		if c.driver == "cpu" {
			if _, ok := CPUTemperature(sys); ok != (err == nil) {
				t.Errorf("%s: CPUTemperature %v", c.name, ok)
			}
		} else if weak, ok := UnderVoltage(sys); ok != (err == nil) || weak != (c.want == "true") {
			t.Errorf("%s: UnderVoltage %v, %v", c.name, weak, ok)
		}
	}
}
