package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/tacet-hub/tacet/cmd/internal/conf"
	"github.com/tacet-hub/tacet/cmd/internal/deviced"
	"github.com/tacet-hub/tacet/cmd/internal/hubd"
	"github.com/tacet-hub/tacet/drivers/audio"
	"github.com/tacet-hub/tacet/drivers/media"
	"github.com/tacet-hub/tacet/drivers/sim"
	"github.com/tacet-hub/tacet/drivers/speech"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

var errGuarded = errors.New("demo: its devices cannot sign in: leave auth and mqtt.tls.client_ca_file out of the configuration, or run serve")

// Options say what of the demo is not the hub's configuration.
type Options struct {
	WAVDir  string // directory for one recording a gate; empty: none
	Sound   bool   // play on the sound card, through aplay
	Version string
}

// Run is the simulated site until ctx ends. cfg is that of the hub, made from
// [Site]; its data directory must be fresh. When the hub is ready it writes to
// out where to look and what to try. Its error says what could not be started;
// a configuration in which anybody has to sign in is refused.
func Run(ctx context.Context, cfg conf.Config, opt Options, log *slog.Logger, out io.Writer) error {
	if who, err := cfg.Identity(); err != nil || !who.Empty() {
		return cmp.Or(err, errGuarded)
	}
	speaker, err := speakerOf(cfg.Speech, log)
	if err != nil {
		return err
	}
	if opt.WAVDir != "" {
		if err := os.MkdirAll(opt.WAVDir, 0o755); err != nil {
			return fmt.Errorf("directory for recordings: %w", err)
		}
	}
	hub, err := hubd.New(cfg, hubd.Options{ColdStart: true, Version: opt.Version}, log)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return hub.Run(ctx) })
	select {
	case <-ctx.Done():
		return group.Wait()
	case at := <-hub.Ready():
		fmt.Fprint(out, at, "\n", welcome(at, cfg))
		s := site{opt: opt, data: cfg.Data, speaker: speaker, hub: at.HTTP, brokers: []string{at.MQTT}, log: log}
		if err := s.start(ctx, group); err != nil {
			return err
		}
	}
	return group.Wait()
}

// speakerOf is the voice of the simulated devices. The demo runs on a machine that
// has nothing but Go: where there is no engine, each word is a tone.
func speakerOf(cfg conf.Speech, log *slog.Logger) (*speech.Speaker, error) {
	s, err := speech.New(speech.Config{Engine: cfg.Engine, Voice: cfg.Voice, Models: cfg.Models})
	if err != nil {
		log.Info("no speech engine, each word is a tone", "err", err)
		s, err = speech.New(speech.Config{Engine: speech.Tone})
	}
	return s, err
}

// welcome says where to look, and what to try beside it.
func welcome(at hubd.Ready, cfg conf.Config) string {
	port := at.MQTT[strings.LastIndexByte(at.MQTT, ':')+1:]
	url := ""
	if at.HTTP != "http://127.0.0.1:8080" {
		url = " --url " + at.HTTP
	}
	return fmt.Sprintf(`
  dashboard   %s
  a sensor    mosquitto_pub -p %s -t home/north/hall/temperature -m 21.5
  say it      go run ./cmd/tacet say%s --area north --wait "Hello from the command line"
  watch it    mosquitto_sub -p %s -t 'tacet/area/+/busy' -v
  data        %s

`, at.HTTP, port, url, port, cfg.Data)
}

// site is what stands around the hub.
type site struct {
	opt     Options
	data    string
	speaker *speech.Speaker
	hub     string   // web address
	brokers []string // of its nodes, mqtt://
	log     *slog.Logger
}

// start puts the gates, the stands and the sensors up; they run in the group.
func (s site) start(ctx context.Context, group *errgroup.Group) error {
	for i, in := range []string{"North Wing", "North Wing", "South Wing", "South Wing"} {
		name := fmt.Sprintf("gate-%d", i+1)
		out, err := s.speakerOf(name)
		if err != nil {
			return err
		}
		g := &gate{device: name, area: in, location: i + 1, speaker: s.speaker, out: out, log: s.log}
		group.Go(func() error { return g.run(ctx, s.hub+"/hubs/devices") })
	}
	for i := range 4 {
		d, err := s.stand(fmt.Sprintf("pier-%d", i+1), fmt.Sprintf("p%d", i+1), i)
		if err != nil {
			return err
		}
		group.Go(func() error { return d.Run(ctx) })
	}
	link, err := uplink.New(uplink.Config{Hubs: s.brokers, ClientID: "demo-sensors"}, s.log)
	if err != nil {
		return err
	}
	group.Go(func() error { return link.Run(ctx) })
	group.Go(func() error { return sense(ctx, link, sensors(), s.log) })
	return nil
}

// speakerOf is the loudspeaker of a classic gate.
func (s site) speakerOf(name string) (player, error) {
	if s.opt.Sound {
		p := audio.NewAplay("")
		return p, p.Open(media.Rate, 1) // now, while somebody looks
	}
	return sim.NewAudio(sim.Config{WAV: s.wav(name)}), nil
}

// wav is the recording of a device; empty: none.
func (s site) wav(name string) string {
	if s.opt.WAVDir == "" {
		return ""
	}
	return filepath.Join(s.opt.WAVDir, name+".wav")
}

// stand is a device agent of the pier. Its place among them says which node it asks
// first.
func (s site) stand(name, location string, place int) (*deviced.Device, error) {
	c := deviced.Default()
	c.Peers.Mode = deviced.PeersOff // its hub is in the same process
	c.Device, c.Area, c.Location, c.Hub = name, "pier", location, turned(s.brokers, place)
	c.Data, c.Sim, c.WAV = filepath.Join(s.data, name), true, s.wav(name)
	if s.opt.Sound {
		c.Audio.Output, c.WAV = deviced.OutputAplay, ""
	}
	return deviced.New(c, s.opt.Version, s.log)
}

// turned is a list that begins with another of its items.
func turned(list []string, by int) []string {
	by %= len(list)
	return slices.Concat(list[by:], list[:by])
}
