package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/cmd/internal/cli"
	"github.com/tacet-hub/tacet/cmd/internal/release"
	"github.com/tacet-hub/tacet/cmd/internal/viewd"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Execute(ctx, command(), os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func command() *cobra.Command {
	cfg := viewd.Config{Version: release.Version()}
	c := &cobra.Command{
		Use:   "tacet-view --redis URL",
		Short: "Serve the dashboard of a hub of several nodes, apart from them",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if cfg.Redis == "" {
				cfg.Redis = os.Getenv("TACET_REDIS_URL")
			}
			if err := cfg.Validate(); err != nil {
				return cli.Usagef("%v", err)
			}
			cfg.Log = slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))
			return serve(c.Context(), cfg, c)
		},
	}
	c.Flags().StringVar(&cfg.Redis, "redis", "", "address of the server that joins the nodes (else TACET_REDIS_URL, which may hold a password)")
	c.Flags().StringVar(&cfg.Prefix, "redis-prefix", "", "of its keys (default tacet)")
	c.Flags().StringVar(&cfg.Addr, "http", "", "address to listen on (default 127.0.0.1:8085)")
	c.Flags().StringVar(&cfg.Node, "node", "", "name of this node (default view- and some letters)")
	release.Flag(c, release.Version())
	return c
}

// serve runs a view, and says where it is.
func serve(ctx context.Context, cfg viewd.Config, c *cobra.Command) error {
	v, err := viewd.New(cfg)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- v.Run(ctx) }() // waited for below
	select {
	case url := <-v.Ready():
		fmt.Fprintf(c.OutOrStdout(), "ready http=%s\n", url)
		return <-ended
	case err := <-ended:
		return err
	}
}
