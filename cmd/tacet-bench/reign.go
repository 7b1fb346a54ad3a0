package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/player"
)

func reignCommand() *cobra.Command {
	cfg := player.ReignConfig{}
	var asJSON bool
	c := &cobra.Command{
		Use:   "reign",
		Short: "Kill the device that leads its area, and measure how soon the others go on",
		Long: `Starts a hub and devices of one area that lead themselves, with the lease of 6 s
that areas have by default, in processes of their own. In each round the device that
leads is killed with -9. The targets are 5 s until each of the others speaks to the
one that leads then, and 12 s until it sounds. With --devices 2, one is left. The
exit code is 1 where a target is missed or two sounded at once.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if cfg.Devices < 2 || cfg.Rounds < 1 {
				return errors.New("reign needs two devices and one round")
			}
			cfg.Say = sayTo(c)
			figures, err := player.Reign(c.Context(), cfg)
			return showFigures(c, figures, err, asJSON)
		},
	}
	f := c.Flags()
	f.StringVar(&cfg.Dir, "dir", os.TempDir(), "directory for what the programs keep")
	f.IntVar(&cfg.Rounds, "rounds", 10, "deaths")
	f.IntVar(&cfg.Devices, "devices", 4, "of the one area")
	f.BoolVar(&asJSON, "json", false, "print JSON, one object a line")
	return c
}
