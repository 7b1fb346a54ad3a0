package deviced

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/settings"
	"github.com/tacet-hub/tacet/drivers/watchdog"
	"github.com/tacet-hub/tacet/firmware"
	"github.com/tacet-hub/tacet/firmware/update"
)

// care is what looks after the run of a device: its log, its clock, and what
// ends it when it hangs.
type care struct {
	ring     *firmware.Ring
	calendar *firmware.Calendar
	start    firmware.Start
	hardware *watchdog.Device   // nil: none
	systemd  *watchdog.Notifier // nil: none
	faults   map[string]error   // by what cannot be had: the device goes on without it
}

// calendar is the wall clock, which is not before what was kept of it.
func (c Config) calendar(kept time.Time) *firmware.Calendar {
	return firmware.NewCalendar(built(), kept, time.Now, firmware.Synced)
}

// feedLeast is how often a watchdog can be fed at the most.
const feedLeast = time.Second

// care begins the run: it finds out how it came about, and has its log kept. A
// watchdog or a log that cannot be had is told, and no reason not to sound.
func (c Config) care(m *firmware.Memory) (k *care, err error) {
	k = &care{ring: firmware.NewRing(), calendar: c.calendar(m.Time()), faults: map[string]error{}}
	c.watch(k)
	c.saveMemory()
	k.start, err = m.Begin(firmware.Machine{
		Kernel: firmware.KernelRun(), Reset: k.hardware != nil && k.hardware.WasReset(),
		Now: k.calendar.Now(), Clock: k.calendar.State(), Settings: c.digest(),
	}, c.linesFile())
	if err != nil {
		return k, err
	}
	if c.SafeMode == SafeModeOn {
		k.start.Safe = true
	} else if c.SafeMode == SafeModeOff || c.SafeMode != SafeModeAuto && c.Sim {
		k.start.Safe = false
	}
	k.fault("log", errors.Join(c.keepLines(k.ring), c.keepPanics(m)))
	return k, nil
}

func (k *care) fault(what string, err error) {
	if err != nil {
		k.faults[what] = err
	}
}

// watch opens the watchdogs that the device has.
func (c Config) watch(k *care) {
	var err error
	if c.Watchdog != "" && !c.Sim {
		k.hardware, err = watchdog.Open(c.Watchdog, watchdogTime)
		k.fault("watchdog", err)
	}
	if c.Alone {
		k.systemd, err = watchdog.Systemd(os.Getenv)
		k.fault("systemd", err)
	}
}

// tell tells of what cannot be had.
func (k *care) tell(log *slog.Logger) {
	for what, err := range k.faults {
		log.Error("the run is not looked after as it should be", "err", what+": "+err.Error())
	}
}

// gauge tells it in the status.
func (k *care) gauge(h *area.Health) {
	for what, err := range k.faults {
		h.Faults[what] = err.Error()
	}
}

// watchdogTime is what a watchdog of the machine is asked for: that of a
// Raspberry Pi has 15 s at most.
const watchdogTime = 15 * time.Second

// every is how often the watchdogs are fed: three times in the shortest timeout,
// and each 5 s at least.
func (k *care) every() time.Duration {
	every := 5 * time.Second
	if k.hardware != nil {
		every = min(every, k.hardware.Timeout()/3)
	}
	if t := k.systemd.Timeout(); t > 0 {
		every = min(every, t/3)
	}
	return max(every, feedLeast)
}

// Feed is firmware.Watchdog.
func (k *care) Feed() error {
	err := k.systemd.Feed()
	if k.hardware != nil {
		err = errors.Join(err, k.hardware.Feed())
	}
	return err
}

// says tells systemd what the device does, whenever its health is looked at.
func (k *care) says(hub func() string) func(*area.Health) {
	return func(h *area.Health) {
		text := "no hub"
		if at := hub(); at != "" {
			text = "connected to " + at
		}
		if k.start.Safe {
			text = "safe mode, " + text
		}
		_ = k.systemd.Status(text) // it is for people, and the next one comes
	}
}

// close ends it. After a run that did not end in order the watchdog of the
// machine goes on: the next start feeds it in time, or the machine is reset.
func (k *care) close(inOrder bool) error {
	err := errors.Join(k.ring.Close(), k.systemd.Close())
	if k.hardware != nil && inOrder {
		err = errors.Join(err, k.hardware.Close())
	}
	return err
}

// checkCare tells of the watchdog, the last crash and the credential, where there
// is something to tell.
func checkCare(cfg Config) (found []Finding) {
	add := func(part string, ok bool, format string, args ...any) {
		found = append(found, Finding{Part: part, OK: ok, Text: fmt.Sprintf(format, args...)})
	}
	if info, err := os.Stat(cfg.Watchdog); cfg.Watchdog != "" && !cfg.Sim {
		switch {
		case err != nil:
			add("watch", false, "watchdog: %v", err)
		case info.Mode()&os.ModeCharDevice == 0:
			add("watch", false, "watchdog: %s is no device", cfg.Watchdog)
		default: // to open it is to start it
			add("watch", true, "%s, fed every %v", cfg.Watchdog, watchdogTime/3)
		}
	}
	if n := firmware.Crashed(cfg.dataDir()); n > 0 {
		add("crash", true, "the last run crashed; %d lines of it are sent when the hub answers", n)
	}
	switch {
	case cfg.Enrols():
		add("enrol", true, "a code waits to be traded at %s", cfg.EnrolHub)
	case cfg.enrolled.Secret != "":
		add("enrol", true, "enrolled as %s", cfg.enrolled.Device)
	}
	return found
}

// digest stands for the configuration: another one is a new beginning for a
// device in safe mode.
func (c Config) digest() string {
	c.Alone, c.Fresh, c.EnrolCode, c.codeAt, c.Launched, c.badPins, c.Lead = false, false, "", "", update.Launched{}, nil, nil // they are not of the configuration
	sum := sha256.Sum256(fmt.Appendf(nil, "%+v", c))
	return hex.EncodeToString(sum[:8])
}

// linesFile is where the log is kept for the next start: in memory that outlives
// the process, so that an SD card is spared. Empty: nowhere.
func (c Config) linesFile() string {
	if dir := os.Getenv("RUNTIME_DIRECTORY"); dir != "" && c.Alone { // of systemd
		return filepath.Join(dir, c.Device+".log")
	}
	if c.Sim {
		return filepath.Join(c.dataDir(), "lines")
	}
	return ""
}

func (c Config) keepLines(r *firmware.Ring) error {
	if path := c.linesFile(); path != "" {
		return r.Keep(path)
	}
	return nil
}

// collectPart is how much of the heap may be garbage before it is collected, in
// percent of what is in use: with the 100 of the runtime an idle device with a
// place among its neighbours is 1.8 MB larger, and at 30 no smaller.
const collectPart = 50

// saveMemory has the runtime collect earlier, where the device is all that this
// process runs and nobody has said how.
func (c Config) saveMemory() {
	if c.Alone && os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectPart)
	}
}

// keepPanics has the runtime write down what it says when it dies, where the
// device is all that this process runs.
func (c Config) keepPanics(m *firmware.Memory) error {
	if !c.Alone {
		return nil
	}
	f, err := os.OpenFile(m.CrashFile(), os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(debug.SetCrashOutput(f, debug.CrashOptions{}), f.Close())
}

// built is when this program was built, or could not have been before.
func built() time.Time {
	if t := settings.Built(); !t.IsZero() {
		return t
	}
	return time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
}

// logTo is log with the ring beside it. Each line says whose it is.
func (k *care) logTo(log *slog.Logger, c Config) *slog.Logger {
	return slog.New(signed{k.ring.Handler(log.Handler()), c.Device})
}
