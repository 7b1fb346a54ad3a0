package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/tacet-hub/tacet/cmd/internal/deviced"
	"github.com/tacet-hub/tacet/cmd/internal/release"
	"github.com/tacet-hub/tacet/firmware"
	"github.com/tacet-hub/tacet/firmware/update"
)

// launch becomes the program of the slot that is to be started, where this is
// the installed program and there is such a slot; else it answers how this
// process was started. It reads as little of the configuration as it can: that
// may be one that only a newer program understands. A visit is no start of the
// device: it is for the confirmed program.
func (f *flags) launch(environ []string, errs io.Writer, visit bool) update.Launched {
	log := slog.New(slog.NewTextHandler(errs, nil))
	was, err := update.WasLaunched(environ, release.Version())
	if err != nil {
		log.Error("updates not possible, the path of this program is not known", "err", err)
		return update.Launched{}
	}
	if was.Slot != update.Packaged {
		return was
	}
	dir, keys := deviced.Launching(f.file, f.bootDir(), environ, f.over)
	err = update.Launch(update.LaunchConfig{Dir: dir, Keys: keys, Version: was.Version, Args: os.Args, Environ: environ, Visit: visit}, log)
	if err != nil {
		log.Error("no slot could be started, the installed program goes on", "err", err)
	}
	return was
}

// relaunch becomes the launcher where the run has ended for an update, unless
// there is a supervisor that has to see the end of the process: systemd takes
// what follows a goodbye for a process that hangs.
func relaunch(l update.Launched, environ []string, err error) error {
	if !errors.Is(err, firmware.ErrUpdate) || l.Launcher == "" {
		return err
	}
	for _, v := range environ {
		if strings.HasPrefix(v, "NOTIFY_SOCKET=") {
			return err
		}
	}
	return fmt.Errorf("%w: %w", err, update.Restart(l, os.Args, environ))
}
