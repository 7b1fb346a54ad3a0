package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/cmd/internal/conf"
	"github.com/tacet-hub/tacet/cmd/internal/demo"
	"github.com/tacet-hub/tacet/cmd/internal/release"
)

func demoCommand() *cobra.Command {
	var flags conf.Flags
	opt := demo.Cluster{Options: demo.Options{Version: release.Version()}}
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run a hub with a simulated airport, to look at",
		Long: `Runs a hub and, in the same process but over real sockets, a small airport: eight
loudspeakers in three areas that take turns, sensors, and a schedule that keeps it
talking. Open the address that it prints.

It sounds nowhere unless --sound or --wav-dir is given.

With --nodes 2 the hub is two nodes behind a balancer: redis-server and nginx, which
have to be installed, and two of tacet serve. Whatever of it dies is started again.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			base := demo.Site()
			fresh, err := os.MkdirTemp("", "tacet-demo-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(fresh)
			base.Data = fresh
			cfg, err := conf.Load(base, flags, os.Environ())
			if err != nil {
				return err
			}
			log := logger(cfg)
			warn(log, cfg)
			if opt.Nodes == 1 {
				return demo.Run(c.Context(), cfg, opt.Options, log, c.OutOrStdout())
			}
			if opt.Program, err = os.Executable(); err != nil {
				return err
			}
			return demo.RunCluster(c.Context(), cfg, opt, log, c.OutOrStdout())
		},
	}
	flags.Register(c.Flags())
	c.Flags().StringVar(&opt.WAVDir, "wav-dir", "", "record each loudspeaker to a WAV file in this directory")
	c.Flags().IntVar(&opt.Nodes, "nodes", 1, "run the hub on so many nodes, at most 8, with redis-server and nginx")
	c.Flags().BoolVar(&opt.Sound, "sound", false, "play on the sound card (needs aplay)")
	return c
}
