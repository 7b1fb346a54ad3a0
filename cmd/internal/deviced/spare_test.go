package deviced

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/settings"
	"github.com/tacet-hub/tacet/firmware"
)

// A configuration with a fault is refused, with the place; what is left of it is
// enough to say so.
func TestSpare(t *testing.T) {
	const who = "device: gate-1\narea: north\nhub: [mqtt://10.0.0.1]\n"
	data := t.TempDir()
	credential := func(t *testing.T) string {
		b, _ := json.Marshal(credential{Credential: Credential{Device: "gate-12", Area: "north", MQTT: "mqtt://10.0.0.2"}, Secret: "s"})
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "credential"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	for name, c := range map[string]struct {
		text, data string
		fault      string
		device     string // of what is left; empty: nothing
		led        string
	}{
		"unknown key":   {who + "gpio: {status_led: GPIO27}\naudio: {volum: 3}\n", data, ":5: audio.volum: unknown key", "gate-1", "GPIO27"},
		"bad value":     {who + "audio: {volume: 101}\n", data, ":4: audio.volume", "gate-1", ""},
		"bad pin":       {who + "gpio: {status_led: GPIO99, brightness: 101}\n", data, ":4: gpio.brightness", "gate-1", ""},
		"another pin":   {who + "gpio: {status_led: GPIO27, busy_lamp: GPIO99, amp_lead: 2s}\n", data, ":4: gpio.amp_lead", "gate-1", "GPIO27"},
		"one hub":       {"device: gate-1\narea: north\nhub: [mqtt://10.0.0.1, http://x]\n", data, ":3: hub[1]", "gate-1", ""},
		"no hub":        {"device: gate-1\narea: north\nhub: [http://x]\n", data, ":3: hub[0]", "", ""},
		"no name":       {"devise: gate-1\narea: north\n", data, ":1: devise", "", ""},
		"not YAML":      {who + "audio: [\n", data, ":", "", ""},
		"enrolled":      {"audio: [\n", credential(t), ":", "gate-12", ""},
		"enrolled, key": {"audoi: {}\n", credential(t), ":1: audoi", "gate-12", ""},
		"a code waits":  {"enrol_code: A\nenrol_hub: http://hub\nx: 1\n", data, ":3: x", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir, _ := bootPartition(t, c.text)
			cfg, _, err := LoadBoot("", dir, nil, func(cfg *Config, o settings.Origins) { cfg.Data = c.data })
			if err == nil || !strings.Contains(err.Error(), c.fault) {
				t.Fatalf("%v, want %s", err, c.fault)
			}
			s, ok := cfg.Spare(err)
			if ok != (c.device != "") || ok && (s.Device != c.device || s.GPIO.StatusLED != c.led || s.SafeMode != SafeModeOn || slices.Contains(s.Hub, "http://x")) {
				t.Errorf("left is %+v, %v", s, ok)
			}
		})
	}
	if _, ok := simulated(t, "mqtt://x").Spare(os.ErrInvalid); ok {
		t.Error("a simulated device goes on")
	}
}

// The fault is in the status, and nothing sounds.
func TestFaultOfTheConfigurationIsTold(t *testing.T) {
	url, b := hub(t)
	c, ok := Config{Device: "gate-1", Area: "north", Hub: []string{url}, Data: t.TempDir()}.Spare(settings.Faults{{Where: "tacet.yaml:5", Key: "audio.volum", Text: "unknown key"}})
	if !ok {
		t.Fatal("it is not enough")
	}
	c.Sim = true // its board can be looked at
	d, end := run(t, c)
	s := kept(t, b, func(s area.Status) bool { return s.Online && s.Health != nil })
	if !s.Health.SafeMode || s.Health.Faults["configuration"] != "tacet.yaml:5: audio.volum: unknown key" {
		t.Errorf("health = %+v", s.Health)
	}
	if got := d.Board().Status.State(); got != firmware.LightConfigError {
		t.Errorf("the light shows %s", got)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}
