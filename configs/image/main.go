package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"

	"github.com/tacet-hub/tacet/configs/image/internal/card"
	"github.com/tacet-hub/tacet/configs/image/internal/parts"
)

// Exit codes, as those of tacet.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(execute(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

var versionForm = regexp.MustCompile(`^v?(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}(-[A-Za-z0-9.-]+)?(\+[A-Za-z0-9.-]+)?$`)

// execute is the program; it answers its exit code.
func execute(ctx context.Context, args []string, out, errs io.Writer) int {
	if len(args) > 0 && args[0] == "checklist" {
		fmt.Fprint(out, checklist)
		return exitOK
	}
	j := job{}
	set := j.flags(errs)
	switch err := set.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil: // the flag package has said it
		return exitUsage
	case set.NArg() > 0:
		fmt.Fprintf(errs, "tacet-image: unknown argument %q\n", set.Arg(0))
		return exitUsage
	}
	if err := j.config.check(); err != nil {
		fmt.Fprintf(errs, "tacet-image: %v\n", err)
		return exitUsage
	}
	if j.version != "" && !versionForm.MatchString(j.version) {
		fmt.Fprintf(errs, "tacet-image: --version %q is not such as 1.2.3\n", j.version)
		return exitUsage
	}
	if err := j.run(ctx, errs); err != nil {
		fmt.Fprintf(errs, "tacet-image: %v\n", err)
		return exitFailed
	}
	fmt.Fprintf(out, "%s\n", j.out)
	return exitOK
}

// job is an image to be made.
type job struct {
	config  settings
	out     string // of the image
	size    int64  // MiB
	build   string // folder of the programs
	device  string // a program that is built already, with or without its leader beside it
	version string // of the one that is built
	source  string
}

func (j *job) flags(errs io.Writer) *flag.FlagSet {
	set := flag.NewFlagSet("tacet-image", flag.ContinueOnError)
	set.SetOutput(errs)
	set.Usage = func() {
		fmt.Fprint(errs, usage)
		set.PrintDefaults()
	}
	j.config.flags(set)
	set.StringVar(&j.out, "o", "sd.img", "`FILE` of the image")
	set.Int64Var(&j.size, "size", card.MinSize/card.MiB, "size of the image in `MiB`, a power of two; the device takes the rest of a larger card")
	set.StringVar(&j.build, "build", "bin/image", "`DIR` for the programs that are built")
	set.StringVar(&j.device, "program", "", "a tacet-device for linux/arm64 that is built already, and the tacet-leader beside it; default: build both")
	set.StringVar(&j.version, "version", "", "`VERSION` of the tacet-device that is built, such as 1.2.3: an update is newer or older than that")
	set.StringVar(&j.source, "source", "configs/image", "`DIR` of this program's sources")
	return set
}

// run makes the image and says what is in it.
func (j *job) run(ctx context.Context, say io.Writer) error {
	p, err := parts.Gather(ctx, parts.Config{Source: j.source, Out: j.build, Device: j.device, Version: strings.TrimPrefix(j.version, "v")})
	if err != nil {
		return err
	}
	files, err := bootFiles(p, j.config)
	if err != nil {
		return err
	}
	if err := card.Write(j.out, card.Config{Size: j.size * card.MiB, Boot: files}); err != nil {
		return err
	}
	fmt.Fprintf(say, "write it to a card (with Raspberry Pi Imager, \"Use custom\", or dd), edit tacet.yaml on the partition TACET if you like, and start the Pi\n")
	return nil
}

const usage = `Writes the image of an SD card with which a Raspberry Pi 3, 4, 5 or Zero 2 W
becomes a device.

	tacet-image --hub http://hub.local:8080 --code CODE -o sd.img
	tacet-image checklist                  what to try on real hardware

It is run in the root of the repository and needs the go command. Without a code
or a device the image is not configured: edit tacet.yaml on the card's partition
TACET, which any PC can.

`
