package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/cmd/internal/cli"
	"github.com/tacet-hub/tacet/cmd/internal/release"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Execute(ctx, command(), os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "tacet",
		Short: "A hub for loudspeakers and sensors that stand close together",
		Long: `Tacet lets devices that stand close together act as one: in each area one
loudspeaker sounds at a time, whatever fails.`,
	}
	root.AddCommand(serveCommand(), demoCommand())
	cli.Add(root, cli.Env{Getenv: os.Getenv, Environ: os.Environ, Version: release.Version()})
	return root
}
