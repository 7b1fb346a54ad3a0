package settings

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// sample has a field of each sort that a configuration may have.
type sample struct {
	Name  string        `yaml:"name"`
	Hub   []string      `yaml:"hub"`
	Lease time.Duration `yaml:"lease"`
	Wait  area.Duration `yaml:"wait"`
	Audio struct {
		Volume int     `yaml:"volume"`
		Gain   float64 `yaml:"gain"`
		Muted  bool    `yaml:"muted"`
		Card   *string `yaml:"card"`
	} `yaml:"audio"`
	Pins   []pin             `yaml:"pins"`
	Labels map[string]string `yaml:"labels"`
	Prio   *area.Priority    `json:"prio"`
	Addr   uint16            `yaml:"addr"`
	Rest   any               `yaml:"rest"`
	Inner  string            // without a tag: no key
}

type pin struct {
	Pin  string `yaml:"pin"`
	Pull string `yaml:"pull"`
}

func (p *pin) SetDefaults() { p.Pull = "up" }

func TestParseYAMLFills(t *testing.T) {
	s := sample{Name: "default", Hub: []string{"x", "y"}}
	s.Audio.Volume = 70
	text := `
hub: discover
lease: 6s
wait: 1m
audio: {gain: 1.5, muted: true, card: }
pins: [{pin: GPIO6}, {pin: GPIO7, pull: down}]
labels: {role: gate}
prio: high
addr: 0x76
rest: {a: [1]}
`
	o, err := ParseYAML("f.yaml", []byte(text), &s)
	if err != nil {
		t.Fatal(err)
	}
	high := area.High
	want := sample{Name: "default", Hub: []string{"discover"}, Lease: 6 * time.Second, Wait: area.Duration(time.Minute),
		Pins: []pin{{"GPIO6", "up"}, {"GPIO7", "down"}}, Labels: map[string]string{"role": "gate"}, Prio: &high, Addr: 0x76, Rest: map[string]any{"a": []any{1}}}
	want.Audio.Volume, want.Audio.Gain, want.Audio.Muted = 70, 1.5, true
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got  %+v\nwant %+v", s, want)
	}
	for key, where := range map[string]string{"lease": "f.yaml:3", "pins[1].pull": "f.yaml:6", "audio.volume": "f.yaml:5", "name": ""} {
		if got := o.Of(key); got != where {
			t.Errorf("origin of %s: got %q, want %q", key, got, where)
		}
	}
}

func TestParseYAMLFaults(t *testing.T) {
	cases := map[string]struct{ text, want string }{
		"unknown key":      {"name: a\nlaese: 6s\n", `f.yaml:2: laese: unknown key; did you mean "lease"?`},
		"unknown, inner":   {"audio:\n  volum: 7\n", `f.yaml:2: audio.volum: unknown key; did you mean "volume"?`},
		"unknown, in list": {"pins:\n- {pin: a}\n- {pn: b}\n", `f.yaml:3: pins[1].pn: unknown key; did you mean "pin"?`},
		"unknown, far":     {"pins: [{zzzzzzzz: 1}]", `f.yaml:1: pins[0].zzzzzzzz: unknown key; known are ["pin" "pull"]`},
		"no tag":           {"Inner: x", `f.yaml:1: Inner: unknown key; known are`},
		"twice":            {"name: a\nname: b\n", `f.yaml:2: name: written twice, first on line 1`},
		"type":             {"lease: soon", `f.yaml:1: lease: "soon" is not a number with a unit`},
		"text type":        {"wait: 5", `f.yaml:1: wait: duration "5" is not a number with a unit`},
		"number":           {"addr: 70000", `f.yaml:1: addr: "70000" is not a whole number from 0 that fits`},
		"truth":            {"audio: {muted: perhaps}", `f.yaml:1: audio.muted: "perhaps" is neither true nor false`},
		"shape":            {"audio: [1]", `f.yaml:1: audio: a list, where keys are expected`},
		"shape of text":    {"name: {a: b}", `f.yaml:1: name: keys, where one value is expected`},
		"syntax":           {"name: a\n  b: [\n", `f.yaml:2: mapping values are not allowed in this context`},
		"two documents":    {"name: a\n---\nname: b\n", `f.yaml:2: a second document, where one is read`},
		"holds itself":     {"rest: 1\nlabels: &a {x: *a}\n", `f.yaml:2`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := ParseYAML("f.yaml", []byte(c.text), &sample{})
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("of %q: got %v, want %s", c.text, err, c.want)
			}
		})
	}
	t.Run("all at once", func(t *testing.T) {
		_, err := ParseYAML("f.yaml", []byte("nmae: x\nlease: soon\naddr: -1\n"), &sample{})
		if fs, ok := errors.AsType[Faults](err); !ok || len(fs) != 3 {
			t.Errorf("got %v, want three faults", err)
		}
	})
}

func TestLoadYAML(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	if err := os.WriteFile(path, []byte("name: gate\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var s sample
	if _, err := LoadYAML(path, &s); err != nil || s.Name != "gate" {
		t.Errorf("got %q, %v", s.Name, err)
	}
	if _, err := LoadYAML("", &s); err != nil {
		t.Errorf("no file: %v", err)
	}
	if _, err := LoadYAML(path+"x", &s); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("missing file: got %v", err)
	}
}

func TestOverlayEnv(t *testing.T) {
	s := sample{Name: "default"}
	s.Audio.Volume = 70
	o := Origins{"lease": "f.yaml:3"}
	unknown, err := OverlayEnv("X_", []string{"X_HUB=mqtt://a, mqtt://b", "X_LEASE=2s", "X_AUDIO_VOLUME=5", "X_PINS=[{pin: a}]", "X_NAME=", "X_OTHER=1", "HUB=no", "X_PRIO=low"}, &s, o)
	if want := `X_PRIO: prio: priority "low" is none of background, normal, high, emergency`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if !reflect.DeepEqual(s.Hub, []string{"mqtt://a", "mqtt://b"}) || s.Lease != 2*time.Second || s.Audio.Volume != 5 || len(s.Pins) != 1 || s.Pins[0].Pull != "up" || s.Name != "default" {
		t.Errorf("got %+v", s)
	}
	if !reflect.DeepEqual(unknown, []string{"X_OTHER"}) {
		t.Errorf("unknown: got %q", unknown)
	}
	if o.Of("lease") != "X_LEASE" {
		t.Errorf("origin: got %q", o.Of("lease"))
	}
}

func TestSecret(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ text, want string }{"line": {"s3cret\n", "s3cret"}, "dos": {"a b\r\n", "a b"}, "empty": {"\n", ""}} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := Secret(path)
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "abc", 3}, {"lease", "lease", 0}, {"laese", "lease", 1}, {"adr", "addr", 1}, {"node", "mode", 1}, {"ab", "ba", 1}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("distance(%q, %q): got %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func FuzzParseYAML(f *testing.F) {
	f.Add("name: a\npins: [{pin: b}]\n")
	f.Add("rest: &a [*a]\n")
	f.Add("labels: {<<: {a: b}}\n")
	f.Fuzz(func(t *testing.T, text string) {
		var s sample
		_, _ = ParseYAML("f.yaml", []byte(text), &s)
	})
}
