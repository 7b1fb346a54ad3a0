package main

import (
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/player"
)

func voiceCommand() *cobra.Command {
	cfg := player.VoiceConfig{}
	var asJSON bool
	c := &cobra.Command{
		Use:   "voice",
		Short: "Kill hub and devices while an area speaks, and look for two voices at once",
		Long: `Starts a hub and devices of one area in processes of their own, orders without a
pause, kills one of them with -9 again and again, and starts it anew. Afterwards the
recordings of the loudspeakers are compared with each other and with the hub's own
record: two that sounded at once, orders without an end, orders that were played
whole twice. The exit code is 1 where there is any.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if cfg.Devices < 2 || !cfg.Hub && !cfg.Device {
				return errors.New("voice needs two devices, and --hub or --device to kill")
			}
			cfg.Say = sayTo(c)
			figures, err := player.Voice(c.Context(), cfg)
			return showFigures(c, figures, err, asJSON)
		},
	}
	f := c.Flags()
	f.StringVar(&cfg.Dir, "dir", os.TempDir(), "directory for what the programs keep")
	f.DurationVar(&cfg.For, "for", 10*time.Minute, "how long")
	f.DurationVar(&cfg.Every, "every", 20*time.Second, "time between two kills; shorter than an area settles (6.25 s), nothing is ever granted")
	f.IntVar(&cfg.Devices, "devices", 4, "of the one area")
	f.BoolVar(&cfg.Hub, "hub", true, "kill the hub")
	f.BoolVar(&cfg.Device, "device", true, "kill devices; with --hub, in turn")
	f.Uint64Var(&cfg.Seed, "seed", 1, "of who is killed")
	f.BoolVar(&asJSON, "json", false, "print JSON, one object a line")
	return c
}
