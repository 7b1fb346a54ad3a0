package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/cmd/internal/deviced"
	"github.com/tacet-hub/tacet/cmd/internal/release"
	"github.com/tacet-hub/tacet/firmware"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(execute(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// Exit codes, as those of tacet.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3  // of provision
	exitRefused     = 4  // of provision
	exitAgain       = 75 // EX_TEMPFAIL: an operator asked for another start
)

// execute is the program; it answers its exit code.
func execute(ctx context.Context, args, environ []string, out, errs io.Writer) int {
	root := &cobra.Command{
		Use: "tacet-device", Short: "A loudspeaker that takes turns with its neighbours",
		SilenceUsage: true, SilenceErrors: true,
		Args: noArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.AddCommand(runCommand(environ), checkCommand(environ), quietCommand(environ), provisionCommand(), versionCommand())
	if len(args) > 0 && args[0] == "--check" { // as check, for who knows it from other programs
		args = append([]string{"check"}, args[1:]...)
	}
	release.Flag(root, release.Version())
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errs)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage{err} })
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(errs, "tacet-device: %v\n", err)
	return exitOf(err)
}

func exitOf(err error) int {
	if errors.Is(err, firmware.ErrRestart) || errors.Is(err, firmware.ErrReboot) || errors.Is(err, firmware.ErrUpdate) {
		return exitAgain
	}
	if _, ok := errors.AsType[usage](err); ok {
		return exitUsage // run says so of a code that is refused: it is in the configuration
	}
	switch {
	case errors.Is(err, deviced.ErrAddress):
		return exitUsage
	case errors.Is(err, deviced.ErrUnreachable):
		return exitUnreachable
	case errors.Is(err, deviced.ErrRefused):
		return exitRefused
	}
	return exitFailed
}

// usage is an error of whoever wrote the command line or the configuration.
type usage struct{ error }

func (u usage) Unwrap() error { return u.error }

// noArgs refuses arguments, and unknown commands.
func noArgs(c *cobra.Command, args []string) error {
	if err := cobra.NoArgs(c, args); err != nil {
		return usage{err}
	}
	return nil
}

func versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Say which build this is", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		_, err := fmt.Fprintf(c.OutOrStdout(), "tacet-device %s\n", release.Build(release.Version()))
		return err
	}}
}
