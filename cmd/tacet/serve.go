package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/cmd/internal/conf"
	"github.com/tacet-hub/tacet/cmd/internal/garbage"
	"github.com/tacet-hub/tacet/cmd/internal/hubd"
	"github.com/tacet-hub/tacet/cmd/internal/release"
)

func serveCommand() *cobra.Command {
	var flags conf.Flags
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run a hub",
		Long: `Runs a hub until it is told to end (SIGTERM or Ctrl-C), then drains it.

With no users, tokens or certificates configured it runs open: it binds the loopback
interface alone and answers only to localhost.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			load := func() (conf.Config, error) { return conf.Load(conf.Default(), flags, os.Environ()) }
			return serve(c.Context(), load, c.OutOrStdout())
		},
	}
	flags.Register(c.Flags())
	return c
}

func serve(ctx context.Context, load func() (conf.Config, error), out io.Writer) error {
	cfg, err := load()
	if err != nil {
		return err
	}
	defer garbage.Spread()()
	log := logger(cfg)
	warn(log, cfg)
	hub, err := hubd.New(cfg, hubd.Options{Version: release.Version()}, log)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- hub.Run(ctx) }() // waited for below
	select {
	case r := <-hub.Ready():
		fmt.Fprintln(out, r)
	case err := <-ended:
		return err
	}
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGHUP)
	defer signal.Stop(again)
	for {
		select {
		case err := <-ended:
			return err
		case <-again:
			reload(ctx, hub, load, log)
		}
	}
}

// reload reads the configuration again. One with a fault changes nothing.
func reload(ctx context.Context, hub *hubd.Hub, load func() (conf.Config, error), log *slog.Logger) {
	cfg, err := load()
	if err == nil {
		warn(log, cfg)
		err = hub.Reload(ctx, cfg)
	}
	if err != nil {
		log.Error("configuration not taken as a whole", "err", err)
		return
	}
	log.Info("configuration read again")
}

// logger writes to standard error as the configuration says; what it says has
// been validated.
func logger(cfg conf.Config) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.LogLevel))
	opt := &slog.HandlerOptions{Level: level}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, opt))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, opt))
}

func warn(log *slog.Logger, cfg conf.Config) {
	for _, w := range cfg.Warnings {
		log.Warn("configuration", "err", w)
	}
}
