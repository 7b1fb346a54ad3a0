package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/player"
)

func crashCommand() *cobra.Command {
	cfg := player.CrashConfig{}
	var asJSON bool
	c := &cobra.Command{
		Use:   "crash",
		Short: "Kill the device that sounds, and measure how soon the next one does",
		Long: `Starts a hub and devices of one area, with the lease of 6 s that areas have by
default, in processes of their own. In each round one device hands over to the next,
and is then killed with -9 in the middle of a play while the next one waits. The
target is a lease, the guard of 250 ms and half a second. With --devices 2, one is
left. The exit code is 1 where a target is missed or two sounded at once.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if cfg.Devices < 2 || cfg.Rounds < 1 {
				return errors.New("crash needs two devices and one round")
			}
			cfg.Say = sayTo(c)
			figures, err := player.Crash(c.Context(), cfg)
			return showFigures(c, figures, err, asJSON)
		},
	}
	f := c.Flags()
	f.StringVar(&cfg.Dir, "dir", os.TempDir(), "directory for what the programs keep")
	f.IntVar(&cfg.Rounds, "rounds", 20, "deaths")
	f.IntVar(&cfg.Devices, "devices", 4, "of the one area")
	f.BoolVar(&asJSON, "json", false, "print JSON, one object a line")
	return c
}
