package update

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The variables by which the launcher tells the program that it becomes what it
// is.
const (
	envSlot     = "TACET_SLOT"             // a or b
	envLauncher = "TACET_LAUNCHER"         // path of the launcher
	envVersion  = "TACET_LAUNCHER_VERSION" // and its version
)

// Launched is what a process knows of its start.
type Launched struct {
	Slot     Slot   // what it runs from; Packaged: it is the installed program
	Launcher string // path of the installed program, to start anew
	Version  string // of the installed program
}

// WasLaunched reads how this process was started, by an environment as
// os.Environ gives it; version is that of this program.
func WasLaunched(environ []string, version string) (Launched, error) {
	vars := map[string]string{}
	for _, v := range environ {
		if name, value, ok := strings.Cut(v, "="); ok {
			vars[name] = value
		}
	}
	if at := Slot(vars[envSlot]); (at == A || at == B) && filepath.IsAbs(vars[envLauncher]) {
		return Launched{at, vars[envLauncher], vars[envVersion]}, nil
	}
	self, err := os.Executable()
	return Launched{Packaged, self, version}, err
}

// LaunchConfig says what is launched.
type LaunchConfig struct {
	Dir     string   // of the slots
	Keys    Keys     // none: nothing is launched
	Version string   // of this program
	Args    []string // as os.Args
	Environ []string // as os.Environ
	Visit   bool     // it is not the device that starts, but something short beside it: the confirmed program or none, and nothing is counted
}

// Launch becomes the program in the slot that is to be started: then it does not
// return. It returns nil where this program is the one to go on: there is no
// key, no slot is used, or none of those that are can be started; the last is
// logged. It never fails the start: its error, a disk that cannot be read, means
// to go on as well. It reads the program before it becomes it, and blocks for
// that.
func Launch(cfg LaunchConfig, log *slog.Logger) error {
	if len(cfg.Keys) == 0 {
		return nil
	}
	if _, err := os.Stat(filepath.Join(cfg.Dir, stateFile)); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	s, err := OpenSlots(cfg.Dir)
	if err != nil {
		return err
	}
	if s.damaged != nil {
		log.Error("update slots not known, the installed program goes on", "err", s.damaged)
	}
	environ := append(clean(cfg.Environ), envLauncher+"="+self, envVersion+"="+cfg.Version)
	start := func(at Slot) error {
		return become(s.Path(at), cfg.Args, append(slices.Clone(environ), envSlot+"="+string(at)))
	}
	if cfg.Visit {
		return s.visit(cfg, start)
	}
	for {
		at := s.Choose(cfg.Version, cfg.Keys, log)
		if at == Packaged {
			return nil
		}
		err := start(at)
		if !lasting(err) {
			return fmt.Errorf("become %s: %w", s.Path(at), err)
		}
		s.broken(at, err, log)
	}
}

// visit starts the confirmed program, where that is the one that the device would
// start with, and it is whole.
func (s *Slots) visit(cfg LaunchConfig, start func(Slot) error) error {
	at := s.state.superseded(cfg.Version).Current
	if at == Packaged {
		return nil
	}
	if err := s.Check(at, cfg.Keys); err != nil {
		return err
	}
	return start(at)
}

// Restart becomes the launcher, which looks at the slots again. It returns only
// where that fails; then the process ends, for its supervisor to start anew.
func Restart(l Launched, args, environ []string) error {
	return fmt.Errorf("become %s: %w", l.Launcher, become(l.Launcher, args, clean(environ)))
}

// clean is an environment without our variables.
func clean(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return name == envSlot || name == envLauncher || name == envVersion
	})
}

// Choose answers the slot that the launcher of a version is to start, whose
// program is whole and signed, and counts the start. Slots that cannot be used
// are left, and logged.
func (s *Slots) Choose(launcher string, keys Keys, log *slog.Logger) Slot {
	for {
		next, at := s.state.Start(launcher)
		if at != Packaged {
			if err := s.Check(at, keys); err != nil {
				s.broken(at, err, log)
				continue
			}
		}
		err := s.Keep(next)
		if err == nil || at == Packaged {
			return at
		}
		log.Error("start not counted", "err", err)
		if at != next.Trial {
			return at
		}
		s.state = s.state.Broken(at, err.Error()) // a trial that is not counted might go on for ever
	}
}

func (s *Slots) broken(at Slot, why error, log *slog.Logger) {
	log.Error("slot left, its program cannot be started", "err", fmt.Errorf("slot %s: %w", at, why))
	if err := s.Keep(s.state.Broken(at, why.Error())); err != nil {
		log.Error("slot not left for good", "err", err)
	}
}
