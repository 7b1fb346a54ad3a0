package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/tacet-hub/tacet/cmd/internal/leaderd"
	"github.com/tacet-hub/tacet/cmd/internal/release"
	"github.com/tacet-hub/tacet/firmware/leader/office"
)

// Exit codes, as those of tacet; there is [office.ExitNoLeave] too.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(execute(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// collectPart is how much of the heap may be garbage before it is collected, in
// percent of what is in use: it stands beside a device on a small board.
const collectPart = 50

// execute is the program; it answers its exit code.
func execute(args []string, in io.Reader, out io.WriteCloser, errs io.Writer) int {
	switch {
	case len(args) == 1 && args[0] == "lead":
		return lead(in, out, errs)
	case len(args) == 1 && (args[0] == "version" || args[0] == "--version"):
		if _, err := fmt.Fprintf(out, "%s %s\n", office.Program, release.Build(release.Version())); err != nil {
			return exitFailed
		}
		return exitOK
	}
	fmt.Fprintf(errs, "%s is started by tacet-device, beside which it lies; by hand there is: %s version\n", office.Program, office.Program)
	return exitUsage
}

func lead(in io.Reader, out io.WriteCloser, errs io.Writer) int {
	signal.Ignore(os.Interrupt, syscall.SIGTERM) // a terminal and systemd send them to the device too
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectPart)
	}
	err := leaderd.Serve(in, out, errs, release.Version())
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, office.ErrNoLeave), errors.Is(err, office.ErrGone):
		return office.ExitNoLeave // at once: to say why would have to wait for who reads it
	}
	return exitFailed // the device was told why
}
