package gpio

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/physic"
)

// pwmchip is a chip of two outputs below a directory that stands for
// /sys/class/pwm, the second of them exported already.
func pwmchip(t *testing.T) (root string, read func(string) string) {
	t.Helper()
	root = t.TempDir()
	dir := filepath.Join(root, "pwmchip0")
	for file, v := range map[string]string{"npwm": "2", "export": "", "unexport": "", "pwm1/enable": "1", "pwm1/period": "0", "pwm1/duty_cycle": "0"} {
		file = filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(v+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root, func(file string) string {
		b, _ := os.ReadFile(filepath.Join(dir, file))
		return strings.TrimSpace(string(b))
	}
}

func TestPWM(t *testing.T) {
	root, read := pwmchip(t)
	p, err := openPWM(root, "pwmchip0/1")
	if err != nil {
		t.Fatal(err)
	}
	if read("pwm1/enable") != "0" {
		t.Error("it was left on by somebody, and still is")
	}
	set := func(want string, err error) {
		t.Helper()
		if got := fmt.Sprint(read("pwm1/enable"), " ", read("pwm1/duty_cycle"), "/", read("pwm1/period")); got != want || err != nil {
			t.Errorf("%s, %v, want %s", got, err, want)
		}
	}
	set("1 250000/1000000", p.PWM(gpio.DutyMax/4, physic.KiloHertz))
	set("0 250000/1000000", p.Out(gpio.Low))
	set("1 1000000/1000000", p.Out(gpio.High))
	set("1 50000/100000", p.PWM(gpio.DutyHalf, 10*physic.KiloHertz))
	if p.PWM(gpio.DutyMax+1, physic.KiloHertz) == nil || p.PWM(gpio.DutyMax, 0) == nil {
		t.Error("what cannot be was done")
	}
	set("0 50000/100000", p.Close())
	if read("unexport") != "1" {
		t.Errorf("given back: %q", read("unexport"))
	}
}

func TestPWMThatIsNotThere(t *testing.T) {
	root, _ := pwmchip(t)
	for name, want := range map[string]string{
		"pwmchip1/0": "dtoverlay=pwm", "pwmchip0/2": "has 2 outputs", "pwmchip0": "pwmchip0/1", "pwmchipx/0": "pwmchip0/1", "pwm0": "pwmchip0/1",
	} {
		if _, err := openPWM(root, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if err := os.Remove(filepath.Join(root, "pwmchip0", "export")); err != nil {
		t.Fatal(err)
	}
	if _, err := openPWM(root, "pwmchip0/0"); err == nil {
		t.Error("it cannot be exported, and nothing was said")
	}
}
