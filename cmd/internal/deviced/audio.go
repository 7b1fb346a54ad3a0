package deviced

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/drivers/audio"
	"github.com/tacet-hub/tacet/drivers/media"
	"github.com/tacet-hub/tacet/drivers/sim"
	"github.com/tacet-hub/tacet/firmware"
)

// The values of [Audio.Output].
const (
	OutputAuto  = "auto"  // simulated with Sim, else the first of pulse, alsa and aplay that works; with a card, alsa and aplay come first
	OutputPulse = "pulse" // a PulseAudio or PipeWire server
	OutputALSA  = "alsa"  // a sound card, by the kernel's interface
	OutputAplay = "aplay" // the program of alsa-utils: what only alsa-lib can open
	OutputWAV   = "wav"   // a file, in real time
	OutputNull  = "null"  // nothing is heard, in real time
	OutputSim   = "sim"   // same, as a part of the simulated hardware
)

// outputs is the values in the order in which people are told of them.
var outputs = [...]string{OutputAuto, OutputPulse, OutputALSA, OutputAplay, OutputWAV, OutputNull, OutputSim}

// faults tells everything that is wrong, by the key below audio.
func (a Audio) faults() (faults [][2]string) {
	fault := func(key, text string) { faults = append(faults, [2]string{key, text}) }
	if a.Output != "" && !slices.Contains(outputs[:], a.Output) {
		fault("output", `"`+a.Output+`" is none of `+strings.Join(outputs[:], ", "))
	}
	if a.Output == OutputWAV && a.File == "" {
		fault("file", "output wav needs one")
	}
	if a.Output != OutputWAV && a.File != "" {
		fault("file", "only output wav writes one")
	}
	if a.Output == OutputALSA {
		if err := audio.CheckCard(a.Card); err != nil {
			fault("card", err.Error())
		}
	}
	return faults
}

// loudspeaker is what a device sounds by.
type loudspeaker struct {
	firmware.Player
	name   string        // for the status, where there is no output
	output *audio.Output // nil: there is one way, and it works
}

// loudspeaker makes it; changed is called when it sounds another way. It fails where a simulated device shall sound by a program
// that is not installed: somebody is looking.
func (c Config) loudspeaker(log *slog.Logger, changed func()) (loudspeaker, error) {
	name := cmp.Or(c.Audio.Output, OutputAuto)
	switch {
	case name == OutputWAV:
		return loudspeaker{Player: sim.NewAudio(sim.Config{WAV: c.Audio.File}), name: name}, nil
	case name == OutputNull:
		return loudspeaker{Player: sim.NewAudio(sim.Config{}), name: name}, nil
	case name == OutputSim, c.Sim && name == OutputAuto:
		return loudspeaker{Player: sim.NewAudio(sim.Config{WAV: c.WAV}), name: OutputSim}, nil
	case c.Sim && name == OutputAplay:
		p := audio.NewAplay(c.Audio.Card)
		return loudspeaker{Player: p, name: name}, p.Open(media.Rate, 1)
	}
	o := audio.NewOutput(func(s audio.State) {
		if s.Using == "" {
			log.Error("nothing to sound by works", "err", s.String())
		} else {
			log.Info("sounding by", "who", s.String())
		}
		changed()
	}, c.Audio.ways()...)
	return loudspeaker{Player: o, name: name, output: o}, nil
}

// ways is the ways to a loudspeaker, the best first.
func (a Audio) ways() []audio.Way {
	pulse := audio.Way{Name: OutputPulse, Player: audio.NewPulse("")}
	alsa := audio.Way{Name: OutputALSA, Player: audio.NewALSA(a.Card)}
	aplay := audio.Way{Name: OutputAplay, Player: audio.NewAplay(a.Card)}
	switch {
	case a.Output == OutputPulse:
		return []audio.Way{{Name: OutputPulse, Player: audio.NewPulse(a.Card)}}
	case a.Output == OutputALSA:
		return []audio.Way{alsa}
	case a.Output == OutputAplay:
		return []audio.Way{aplay}
	case a.Card != "":
		return []audio.Way{alsa, aplay, pulse}
	}
	return []audio.Way{pulse, alsa, aplay}
}

// beside runs the device, and beside it what looks after its ways to sound.
func (l loudspeaker) beside(ctx context.Context, device func(context.Context) error) error {
	if l.output == nil {
		return device(ctx)
	}
	own, stop := context.WithCancel(context.WithoutCancel(ctx))
	var work sync.WaitGroup
	var err error
	work.Go(func() { err = l.output.Run(own) })
	failed := device(ctx)
	stop()
	work.Wait()
	return errors.Join(failed, err)
}

// gauge tells in the status what sounds, and why nothing better does.
func (l loudspeaker) gauge(h *area.Health) {
	if l.output == nil {
		h.AudioDevice = l.name
		return
	}
	s := l.output.State()
	h.AudioDevice, h.Xruns = s.String(), s.Xruns
	if s.Using == "" {
		h.Faults["audio"] = s.String()
	}
}

// checkCards lists the sound cards of the machine, for whoever looks for the name
// of one. A machine without any is told by checkAudio where it matters.
func checkCards(cfg Config) []Finding {
	cards, err := audio.Cards(os.DirFS("/proc/asound"))
	if cfg.Sim || err != nil || len(cards) == 0 {
		return nil
	}
	var names []string
	for _, c := range cards {
		names = append(names, fmt.Sprintf("%s (%s, plays %v, records %v)", c.ID, c.Name, c.Playback, c.Capture))
	}
	return []Finding{{Part: "audio", OK: true, Text: "cards: " + strings.Join(names, ", ")}}
}

// checkAudio tries what a device would sound by; nothing is heard.
func checkAudio(_ context.Context, cfg Config) (string, error) {
	l, err := cfg.loudspeaker(slog.New(slog.DiscardHandler), func() {})
	if err != nil {
		return "", err
	}
	if l.output == nil {
		return l.name, nil
	}
	defer l.Close()
	if err := l.Open(media.Rate, 1); err != nil {
		return "", err
	}
	s := l.output.State()
	if s.Using == "" {
		return "", errors.New("audio.output: " + s.String())
	}
	return s.String(), nil
}
