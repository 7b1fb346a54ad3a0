package deviced

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/drivers/audio/audiotest"
	"github.com/tacet-hub/tacet/drivers/sim"
	"github.com/tacet-hub/tacet/firmware"
)

func TestAudioFaults(t *testing.T) {
	cases := []struct {
		yaml string
		want string // in the error; empty: it loads
	}{
		{"{}", ""},
		{"{output: pulse, card: speaker}", ""},
		{"{output: alsa, card: 'hw:1,0'}", ""},
		{"{output: alsa, card: /dev/snd/pcmC1D0p}", ""},
		{"{output: aplay, card: 'default:CARD=vc4hdmi0'}", ""},
		{"{output: wav, file: out.wav}", ""},
		{"{output: 'null'}", ""},
		{"{output: tape}", `:3: audio.output: "tape" is none of auto, pulse, alsa, aplay, wav, null, sim`},
		{"{output: alsa, card: default}", ":3: audio.card: \"default\" is no card"},
		{"{output: wav}", ":3: audio.file"},
		{"{file: out.wav}", ":3: audio.file: only output wav"},
		{"{card: ''}", ""},
		{"{outptu: alsa}", `did you mean "output"`},
	}
	for _, c := range cases {
		file := filepath.Join(t.TempDir(), "device.yaml")
		if err := os.WriteFile(file, []byte("device: a\narea: b\naudio: "+c.yaml+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := Load(file, nil, nil)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.yaml, err, c.want)
		}
	}
}

func TestWaysToSound(t *testing.T) {
	for _, c := range []struct {
		audio Audio
		sim   bool
		want  string
	}{
		{Audio{Output: OutputAuto}, true, "sim"},
		{Audio{}, true, "sim"},
		{Audio{Output: OutputNull}, false, "null"},
		{Audio{Output: OutputWAV, File: "x.wav"}, false, "wav"},
		{Audio{Output: OutputAuto}, false, "auto pulse alsa aplay"},
		{Audio{}, false, "auto pulse alsa aplay"},
		{Audio{Card: "2"}, false, "auto alsa aplay pulse"},
		{Audio{Output: OutputALSA}, false, "alsa alsa"},
		{Audio{Output: OutputPulse}, true, "pulse pulse"},
	} {
		cfg := Config{Audio: c.audio, Sim: c.sim}
		l, err := cfg.loudspeaker(slog.New(slog.DiscardHandler), func() {})
		if err != nil {
			t.Errorf("%+v: %v", c.audio, err)
			continue
		}
		got := []string{l.name}
		if l.output != nil {
			for _, w := range c.audio.ways() {
				got = append(got, w.Name)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v, simulated %v: %v, want %s", c.audio, c.sim, got, c.want)
		}
	}
}

// statuses is what the device says of itself, from now on.
func statuses(t *testing.T, b *broker.Broker) chan area.Status {
	t.Helper()
	told := make(chan area.Status, 1000)
	cancel, err := b.Subscribe(area.StatusTopic("gate-1"), func(m area.Message) {
		if s, err := area.ParseStatus(m.Payload); err == nil {
			told <- s
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cancel)
	return told
}

// A device without anything to sound by comes online and says so, with the
// reason and by its light; when there is something, it uses it.
func TestADeviceWithoutSound(t *testing.T) {
	pulse := audiotest.Pulse(t)
	pulse.Kill()
	url, b := hub(t)
	cfg := Default()
	cfg.Device, cfg.Area, cfg.Hub, cfg.Sim, cfg.Data = "gate-1", "north", []string{url}, true, t.TempDir()
	cfg.Audio.Output = OutputPulse
	told := statuses(t, b)
	d, err := New(cfg, "v1", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	until := func(what string, is func(area.Status) bool) {
		t.Helper()
		late := time.After(time.Minute)
		for {
			select {
			case s := <-told:
				if is(s) {
					return
				}
			case <-late:
				t.Fatalf("the device does not say that it is %s", what)
			}
		}
	}
	until("without sound", func(s area.Status) bool {
		return s.Online && s.Audio == "none" && s.Health != nil && strings.Contains(s.Health.Faults["audio"], "pulse: ") && strings.HasPrefix(s.Health.AudioDevice, "no audio (not pulse: ")
	})
	<-d.Ready()
	pulse.Start(t)
	until("with sound", func(s area.Status) bool {
		return s.Audio == "pulse" && s.Health != nil && s.Health.Faults["audio"] == "" && strings.Contains(s.Health.AudioDevice, "speaker")
	})
	if states := d.Board().Status.States(); !slices.Contains(states, "no_sound") {
		t.Errorf("its light has shown %v", states)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestCheckOfSound(t *testing.T) {
	pulse := audiotest.Pulse(t)
	cfg := Config{Audio: Audio{Output: OutputPulse}}
	text, err := checkAudio(t.Context(), cfg)
	if err != nil || !strings.HasPrefix(text, "pulse: speaker of ") {
		t.Errorf("check: %q, %v", text, err)
	}
	pulse.Kill()
	if _, err := checkAudio(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "audio.output: no audio (not pulse: ") {
		t.Errorf("check without a server: %v", err)
	}
}

// A machine with neither a server nor a card, on which aplay is installed: no way
// works, aplay's not either, and check, status and light say so.
func TestAutoWithoutAnySound(t *testing.T) {
	dir := t.TempDir()
	const aplay = "#!/bin/sh\necho 'ALSA lib pcm.c:2666:(snd_pcm_open_noupdate) Unknown PCM default' >&2\nexit 1\n"
	if err := os.WriteFile(filepath.Join(dir, "aplay"), []byte(aplay), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	t.Setenv("PULSE_SERVER", "unix:"+filepath.Join(dir, "pulse"))
	url, b := hub(t)
	cfg := Default()
	cfg.Device, cfg.Area, cfg.Hub, cfg.Data = "gate-1", "north", []string{url}, t.TempDir()
	cfg.Audio.Card = "nosuchcard" // where the tests run there may be others
	missing := func(text string) bool {
		return strings.HasPrefix(text, "no audio (") && strings.Contains(text, "not pulse: ") && strings.Contains(text, "not alsa: ") &&
			strings.Contains(text, "not aplay: ") && strings.Contains(text, "Unknown PCM default")
	}
	if text, err := checkAudio(t.Context(), cfg); err == nil || !missing(strings.TrimPrefix(err.Error(), "audio.output: ")) {
		t.Errorf("check: %q, %v", text, err)
	}
	told := statuses(t, b)
	d, err := New(cfg, "v1", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	board := &sim.Board{}
	d.pins.Beacon = board
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	late := time.After(time.Minute)
	for s := (area.Status{}); !s.Online || s.Health == nil || s.Audio != "none" || !missing(s.Health.AudioDevice) || !missing(s.Health.Faults["audio"]); {
		select {
		case s = <-told:
		case <-late:
			t.Fatalf("the device does not say that it has no sound: %+v", s)
		}
	}
	<-d.Ready()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if states := board.Status.States(); !slices.Contains(states, firmware.LightNoSound) {
		t.Errorf("its light has shown %v", states)
	}
}
