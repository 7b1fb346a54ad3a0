package deviced

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/settings"
	"github.com/tacet-hub/tacet/drivers/media"
	"github.com/tacet-hub/tacet/firmware"
)

// hub is a broker on a socket that answers every hello, and nothing else.
func hub(t *testing.T) (url string, b *broker.Broker) {
	t.Helper()
	b, err := broker.New(broker.Config{Addr: "127.0.0.1:0"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	claims := make(chan area.Message, 100)
	if _, err := b.Subscribe("tacet/area/+/claim/+", func(m area.Message) { claims <- m }); err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() { _ = b.Run(ctx) })
	work.Go(func() {
		for {
			select {
			case m := <-claims:
				c, err := area.ParseClaim(m.Payload)
				if err != nil || c.Op != area.OpHello {
					continue
				}
				a := area.Answer{Op: area.OpHello, Boot: c.Boot, MID: c.MID, Nonce: c.Nonce, Term: 64}
				d := area.ParseTopic(m.Topic).Device
				_ = b.Publish(ctx, area.Message{Topic: area.GrantTopic(d), Payload: a.Encode(), QoS: 1, From: area.FromArbiter})
			case <-ctx.Done():
				return
			}
		}
	})
	t.Cleanup(func() { cancel(); work.Wait() })
	return "mqtt://" + b.Addr().String(), b
}

func TestDeviceComesAndGoes(t *testing.T) {
	url, b := hub(t)
	dir := t.TempDir()
	cfg := Default()
	cfg.Device, cfg.Area, cfg.Location, cfg.Hub, cfg.Sim = "gate-1", "North Wing", "1", []string{url}, true
	cfg.Data, cfg.WAV = filepath.Join(dir, "data"), filepath.Join(dir, "gate-1.wav")
	log := slog.New(slog.DiscardHandler)
	for boot := uint64(1); boot <= 2; boot++ {
		d, err := New(cfg, "v1", log)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(cfg, "v1", log); !errors.Is(err, firmware.ErrInUse) {
			t.Errorf("the same device again: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- d.Run(ctx) }()
		<-d.Ready()
		if d.Hub() != url {
			t.Errorf("connected to %q, want %q", d.Hub(), url)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		s := kept(t, b, func(s area.Status) bool { return !s.Online && s.Boot == boot }) // it may come a moment after the end
		if s.Area != "North Wing" || s.Audio != OutputSim || s.Version != "v1" || *s.Volume != 70 {
			t.Errorf("status = %+v", s)
		}
		wav, _ := os.ReadFile(cfg.WAV)
		if _, err := media.DecodeWAV(wav); err != nil {
			t.Errorf("recording: %v", err)
		}
	}
}

func TestWhatCannotBeBuilt(t *testing.T) {
	dir := t.TempDir()
	base := Default()
	base.Device, base.Area, base.Sim, base.Data = "gate-1", "north", true, dir
	notPEM := filepath.Join(dir, "not.pem")
	if err := os.WriteFile(notPEM, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"not valid", func(c *Config) { c.Area = "???" }, "area"},
		{"no password", func(c *Config) { c.Username, c.PasswordFile = "gate-1", filepath.Join(dir, "none") }, "none"},
		{"no authority", func(c *Config) { c.CAFile = filepath.Join(dir, "none") }, "ca_file: "},
		{"authority is no PEM", func(c *Config) { c.CAFile = notPEM }, "has no certificate"},
		{"certificate without a key", func(c *Config) { c.CertFile = notPEM }, "go together"},
		{"certificate is no PEM", func(c *Config) { c.CertFile, c.KeyFile = notPEM, notPEM }, "cert_file: "},
		{"no aplay", func(c *Config) { c.Audio.Output = OutputAplay }, "aplay"},
		{"no directory", func(c *Config) { c.Data = "/dev/null/x" }, "/dev/null/x"},
	}
	t.Setenv("PATH", dir)
	for _, c := range cases {
		cfg := base
		c.change(&cfg)
		if d, err := New(cfg, "", slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v, want an error with %q", c.name, d, err, c.want)
		}
	}
	d, err := New(base, "", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("after all that: %v", err)
	}
	d.Close()
}

func TestLoadTellsWhereAFaultIs(t *testing.T) {
	write := func(text string) string {
		file := filepath.Join(t.TempDir(), "device.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	cases := []struct {
		name, file string
		env        []string
		want       []string // in the error; none: it loads
	}{
		{"good", "device: gate-1\narea: north\n", nil, nil},
		{"unknown key", "device: gate-1\nare: north\n", nil, []string{":2", "are", `"area"`}},
		{"all faults", "device: a b\narea: north\naudio: {volume: 101, output: tape}\n", nil, []string{":1: device", ":3: audio.volume", `"tape"`}},
		{"not in this version", "device: a\narea: b\nhub: [discover]\n", nil, []string{"hub[0]"}},
		{"peers", "device: a\narea: b\npeers: {mode: auto, key_file: x, bind: ':7000', priority: -3, listen: ':1884', web: ':8081'}\n", nil, nil},
		{"faults of peers", "device: a\narea: b\npeers:\n  mode: on\n  bind: hub.local\n  priority: 101\n  listen: 1883\n  web: 10.0.0.5\n", nil,
			[]string{":4: peers.mode", ":5: peers.bind", ":6: peers.priority", ":7: peers.listen", ":8: peers.web"}},
		{"sensors", "device: a\narea: b\nsensors:\n- {driver: bme280, bus: '1', address: 0x76, every: 30s}\n- {driver: bme280, address: 0x78}\n- {driver: barometer}\naudio:\n  follow_noise: {quiet: 50, loud: 40, boost: 10}\n", nil,
			[]string{":5: sensors[1].address: 0x78", ":5: sensors[1].name: sensors[0] measures", `:6: sensors[2].driver: "barometer" is none of`, ":8: audio.follow_noise"}},
		{"pins", "device: a\narea: b\ngpio:\n  amp_enable: 22\n  amp_lead: 2s\n  mute_button: GPIO6\n  inputs: [{pin: PIN31, name: door}]\n", nil,
			[]string{":5: gpio.amp_lead"}},
		{"a bad duration and more", "area: b\ngpio: {amp_lead: 30, brightness: 101, inputs: [{pin: GPIO6, nam: door}]}\naudio: {volume: 101}\nhub: [http://x]\n", nil,
			[]string{":2: gpio.amp_lead", ":2: gpio.inputs[0].nam", ":2: gpio.brightness", ":3: audio.volume", ":4: hub[0]"}},
		{"a bad duration and no name", "area: b\ngpio: {amp_lead: 30}\n", []string{"TACET_DEVICE_AUDIO_VOLUME=x", "TACET_DEVICE_HUB=http://x"},
			[]string{":2: gpio.amp_lead", "device: ", "TACET_DEVICE_AUDIO_VOLUME", "TACET_DEVICE_HUB"}},
		{"environment", "device: a\narea: b\n", []string{"TACET_DEVICE_AREA=???", "TACET_DEVICE_AUDIO_VOLUME=7"}, []string{"TACET_DEVICE_AREA"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := Load("", append(c.env, "TACET_DEVICE_CONFIG="+write(c.file)), nil)
			if len(c.want) == 0 && err != nil {
				t.Fatal(err)
			}
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v does not name %q", err, want)
				}
			}
			for line := range strings.SplitSeq(fmt.Sprint(err), "\n") {
				if len(c.want) > 0 && !slices.ContainsFunc(c.want, func(want string) bool { return strings.Contains(line, want) }) {
					t.Errorf("it also tells %q", line)
				}
			}
		})
	}
	_, unknown, err := Load(write("device: a\narea: b\n"), []string{"TACET_DEVICE_AREAS=c", "TACET_DEVICE_CONFIG=/nowhere"}, func(c *Config, o settings.Origins) { c.Sim = true })
	if err != nil || len(unknown) != 1 || unknown[0] != "TACET_DEVICE_AREAS" {
		t.Errorf("unknown variables %v, %v", unknown, err)
	}
}

func TestExampleIsTheDefault(t *testing.T) {
	c, _, err := Load("../../../configs/device.yaml", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	if c.Hub[0] != want.Hub[0] || c.Audio != want.Audio || c.Area != "north" {
		t.Errorf("configs/device.yaml has %+v", c)
	}
}

func TestRender(t *testing.T) {
	cfg := Default()
	cfg.Device, cfg.Area, cfg.Sim, cfg.Data = "gate-1", "north", true, t.TempDir()
	t.Setenv("PATH", t.TempDir()) // tones
	r, err := newRenderer()
	if err != nil {
		t.Fatal(err)
	}
	text, blank := "gate one", " "
	length := func(b area.Body) time.Duration {
		s, err := r.Render(t.Context(), b, nil)
		if err != nil {
			t.Fatal(err)
		}
		return media.FromBytes(s).Duration()
	}
	once := length(area.Body{Message: &text, Repeat: 1})
	chime, _ := media.ChimeLength("gong")
	near := func(name string, got, want time.Duration) {
		if d := got - want; d < -time.Millisecond || d > time.Millisecond {
			t.Errorf("%s lasts %v, want %v", name, got, want)
		}
	}
	near("twice", length(area.Body{Message: &text, Repeat: 2}), 2*once+media.Pause)
	near("in two languages", length(area.Body{Message: &text, Languages: []string{"en", "no"}}), 2*once+media.Pause)
	near("after a gong", length(area.Body{Message: &text, Chime: "gong"}), chime+media.Pause+once)
	for name, b := range map[string]area.Body{"no text": {}, "blank": {Message: &blank}, "chime": {Message: &text, Chime: "klaxon"}} {
		if _, err := r.Render(t.Context(), b, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestCheck(t *testing.T) {
	url, _ := hub(t)
	cfg := Default()
	cfg.Device, cfg.Area, cfg.Sim, cfg.Data = "gate-1", "north", true, filepath.Join(t.TempDir(), "not", "made")
	cfg.Hub = []string{url}
	cfg.Peers.LeaderProgram = filepath.Join(t.TempDir(), "leads")
	if err := os.WriteFile(cfg.Peers.LeaderProgram, []byte("#!/bin/sh\necho tacet-leader v1.2.3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	found := Check(t.Context(), cfg, "v1.2.3")
	if len(found) != 7 {
		t.Errorf("%d findings", len(found))
	}
	for _, f := range found {
		if !f.OK {
			t.Errorf("%s: %s", f.Part, f.Text)
		}
	}
	if _, err := os.Stat(cfg.Data); !errors.Is(err, os.ErrNotExist) {
		t.Error("the check has made the data directory")
	}
	cfg.Audio.Output, cfg.Audio.Card = OutputALSA, "nosuch"
	cfg.Sim, cfg.Data, cfg.Username, cfg.PasswordFile = false, "/dev/null/x", "gate-1", "/dev/null"
	for _, f := range Check(t.Context(), cfg, "v1.2.4") {
		if want := f.Part == "clock" || f.Part == "speech"; f.OK != want {
			t.Errorf("%s: ok %v: %s", f.Part, f.OK, f.Text)
		}
	}
}

// A hub that is not there is told with what the network says.
func TestCheckOfADeadHub(t *testing.T) {
	cfg := Default()
	cfg.Device = "gate-1"
	if text, err := checkHub(t.Context(), cfg, "mqtt://127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("checkHub: %q, %v", text, err)
	}
}
