package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/player"
	"github.com/tacet-hub/tacet/cmd/tacet-bench/servers"
)

// errMissed is the end of a run in which a figure is not what it should be.
var errMissed = errors.New("not every target is met")

// sayTo is words on the way, beginning with how busy the machine is.
func sayTo(c *cobra.Command) func(format string, args ...any) {
	say := func(format string, args ...any) { fmt.Fprintf(c.ErrOrStderr(), format+"\n", args...) }
	say("load average %.1f", servers.Load())
	return say
}

// showFigures prints what was measured, also where err has ended it early; a
// target that is missed is an error.
func showFigures(c *cobra.Command, figures []player.Figure, err error, asJSON bool) error {
	if printed := player.Print(c.OutOrStdout(), figures, asJSON); printed != nil || err != nil {
		return errors.Join(err, printed)
	}
	for _, f := range figures {
		if !f.Meets() {
			return errMissed
		}
	}
	return nil
}

func deviceCommand() *cobra.Command {
	cfg := player.Config{}
	var asJSON bool
	c := &cobra.Command{
		Use:   "device",
		Short: "Measure the program of a device: size, memory, idle time, how soon it sounds, many plays",
		Long: `Builds tacet and tacet-device as they are shipped, from the sources around the
working directory, starts them in processes of their own, and prints how big the
program for a board is, what it takes when nothing happens, how soon it sounds after
an order and after a grant, and what many plays leave behind: descriptors, and gaps
that were heard and not told of. The plays go to a PulseAudio server of its own
where that is installed. The exit code is 1 where a target is missed; on a machine
that does other things as well the times mean little.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg.Say = sayTo(c)
			figures, err := player.Run(c.Context(), cfg)
			return showFigures(c, figures, err, asJSON)
		},
	}
	f := c.Flags()
	f.StringVar(&cfg.Dir, "dir", os.TempDir(), "directory for what the programs keep")
	f.DurationVar(&cfg.Settle, "settle", 100*time.Second, "how long after its start a device is idle")
	f.DurationVar(&cfg.Idle, "idle", 2*time.Minute, "how long nothing happens")
	f.IntVar(&cfg.Sounds, "sounds", 100, "of how many sounds it is measured how soon they are heard")
	f.IntVar(&cfg.Plays, "plays", 1000, "plays in a row")
	f.StringSliceVar(&cfg.Only, "only", nil, "what to measure: "+strings.Join(player.Parts(), " "))
	f.BoolVar(&asJSON, "json", false, "print JSON, one object a line")
	return c
}
