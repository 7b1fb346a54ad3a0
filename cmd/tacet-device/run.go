package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tacet-hub/tacet/cmd/internal/deviced"
	"github.com/tacet-hub/tacet/cmd/internal/release"
	"github.com/tacet-hub/tacet/cmd/internal/settings"
	"github.com/tacet-hub/tacet/firmware"
	"github.com/tacet-hub/tacet/firmware/update"
)

// flags are those of run and check.
type flags struct {
	set    *pflag.FlagSet
	file   string
	boot   string
	cfg    deviced.Config
	sound  bool
	format string
	level  slog.Level
}

func (f *flags) register(set *pflag.FlagSet) {
	f.set = set
	set.StringVar(&f.file, "config", "", "configuration `FILE` (device.yaml)")
	set.StringVar(&f.boot, "boot", "", "`DIR` of the boot partition, whose tacet.yaml is read over the file (default /boot/firmware or /boot, with --sim none)")
	set.StringVar(&f.cfg.Device, "device", "", "`ID` of this device")
	set.Var((*urls)(&f.cfg.Hub), "hub", "`URL` of the hub, mqtt://, mqtts://, ws:// or wss://; several are tried in turn")
	set.StringVar(&f.cfg.Area, "area", "", "`AREA` in which it can be heard")
	set.StringVar(&f.cfg.Location, "location", "", "`LOCATION` at which it is mounted")
	set.StringVar(&f.cfg.Data, "data", "", "`DIR` of start counter, journal and lock")
	set.StringVar(&f.cfg.WAV, "wav", "", "with --sim: record what it sounds to `FILE`, and its plays to FILE.jsonl; those of the run before become FILE.1 and FILE.1.jsonl")
	set.BoolVar(&f.cfg.Sim, "sim", false, "simulated hardware")
	set.BoolVar(&f.sound, "sound", false, "with --sim: sound through aplay")
	set.StringVar(&f.format, "log-format", "text", "`FORMAT` of the log: text or json")
	set.TextVar(&f.level, "log-level", slog.LevelInfo, "least `LEVEL` that is logged: debug, info, warn or error")
}

// urls is a flag with commas that may be given several times.
type urls []string

func (u *urls) String() string { return strings.Join(*u, ",") }

func (u *urls) Set(text string) error {
	*u = append(*u, strings.Split(text, ",")...)
	return nil
}

func (u *urls) Type() string { return "strings" }

// over lays the flags that were given over the configuration.
func (f *flags) over(c *deviced.Config, o settings.Origins) {
	given := func(flag, key string) bool {
		if !f.set.Changed(flag) {
			return false
		}
		o[key] = "--" + flag
		return true
	}
	for _, t := range []struct {
		flag       string
		into, from *string
	}{
		{"device", &c.Device, &f.cfg.Device}, {"area", &c.Area, &f.cfg.Area}, {"location", &c.Location, &f.cfg.Location},
		{"data", &c.Data, &f.cfg.Data}, {"wav", &c.WAV, &f.cfg.WAV},
	} {
		if given(t.flag, t.flag) {
			*t.into = *t.from
		}
	}
	if given("hub", "hub") {
		c.Hub = f.cfg.Hub
	}
	if f.sound && given("sound", "audio.output") {
		c.Audio.Output = deviced.OutputAplay
	}
	c.Sim = f.cfg.Sim
}

// bootDir is the directory of the boot partition; empty: there is none.
func (f *flags) bootDir() string {
	if f.boot == "" && !f.cfg.Sim {
		return deviced.Boot()
	}
	return f.boot
}

// load reads the configuration and makes the log.
func (f *flags) load(environ []string, errs io.Writer) (deviced.Config, *slog.Logger, error) {
	options := &slog.HandlerOptions{Level: f.level}
	var log *slog.Logger
	switch f.format {
	case "text":
		log = slog.New(slog.NewTextHandler(errs, options))
	case "json":
		log = slog.New(slog.NewJSONHandler(errs, options))
	default:
		return deviced.Config{}, nil, usage{fmt.Errorf("--log-format %q is neither text nor json", f.format)}
	}
	cfg, unknown, err := deviced.LoadBoot(f.file, f.bootDir(), environ, f.over)
	for _, v := range unknown {
		log.Warn("environment variable is no key", "err", v)
	}
	if err != nil {
		cfg.Sim = f.cfg.Sim // a fault of the file comes before the flags
		return cfg, log, usage{err}
	}
	return cfg, log, nil
}

func runCommand(environ []string) *cobra.Command {
	var f flags
	c := &cobra.Command{Use: "run", Short: "Be a device until told to end", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		launched := f.launch(environ, c.ErrOrStderr(), false)
		cfg, log, err := f.load(environ, c.ErrOrStderr())
		if err == nil && cfg.EnrolCode != "" {
			cfg, log, err = f.enrol(c.Context(), cfg, log, environ, c.ErrOrStderr())
			if c.Context().Err() != nil {
				return nil
			}
		}
		if err != nil {
			return refuse(c.Context(), cfg, log, err, launched, environ, c.OutOrStdout(), c.ErrOrStderr())
		}
		cfg.Launched = launched
		return relaunch(launched, environ, run(c.Context(), cfg, log, c.OutOrStdout()))
	}}
	f.register(c.Flags())
	return c
}

// enrol trades the code of the configuration, which is another one with what the
// hub has answered.
func (f *flags) enrol(ctx context.Context, cfg deviced.Config, log *slog.Logger, environ []string, errs io.Writer) (deviced.Config, *slog.Logger, error) {
	cfg.Alone = true
	fresh := cfg.Enrols()
	if err := deviced.Enrol(ctx, cfg, log); err != nil {
		return cfg, log, usage{err}
	}
	cfg, log, err := f.load(environ, errs)
	cfg.Fresh = fresh
	return cfg, log, err
}

// faultTime is how long the status light of a device that cannot start tells so:
// whoever has edited its configuration stands before it now. Systemd then starts
// it again, and the light goes on.
const faultTime = time.Minute

// refuse tells of a fault of the configuration: at once; then, where somebody
// supervises the device and nobody looks, by the status and the light, in safe mode
// until it is told to end, if the rest of the configuration is enough for that;
// else by the light alone, where there is one.
func refuse(ctx context.Context, cfg deviced.Config, log *slog.Logger, fault error, launched update.Launched, environ []string, out, errs io.Writer) error {
	spare, ok := cfg.Spare(fault)
	ok = ok && supervised(environ)
	if !ok && !cfg.CanShowFault() {
		return fault
	}
	fmt.Fprintf(errs, "tacet-device: %v\n", fault)
	if !ok {
		deviced.ShowFault(ctx, cfg, faultTime)
		return fault
	}
	spare.Launched = launched
	if err := run(ctx, spare, log, out); err != nil {
		return err
	}
	return fault
}

// supervised tells whether systemd or a PID 1 of our own has started this process.
func supervised(environ []string) bool {
	return os.Getppid() == 1 || slices.ContainsFunc(environ, func(v string) bool { return strings.HasPrefix(v, "NOTIFY_SOCKET=") })
}

func quietCommand(environ []string) *cobra.Command {
	var f flags
	c := &cobra.Command{Use: "quiet", Short: "Switch amplifier and lamps off, after the device was killed", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		f.launch(environ, c.ErrOrStderr(), true)
		cfg, _, err := f.load(environ, c.ErrOrStderr())
		if err != nil {
			return err
		}
		return deviced.Quiet(cfg)
	}}
	f.register(c.Flags())
	return c
}

func run(ctx context.Context, cfg deviced.Config, log *slog.Logger, out io.Writer) error {
	cfg.Alone = true
	d, err := deviced.New(cfg, release.Version(), log)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }() // waited for below
	select {
	case <-d.Ready():
		fmt.Fprintf(out, "ready device=%s hub=%s\n", cfg.Device, d.Hub())
	case err := <-ended:
		return again(ctx, err)
	}
	return again(ctx, <-ended)
}

// again starts the machine again where that is why the run has ended.
func again(ctx context.Context, err error) error {
	if errors.Is(err, firmware.ErrReboot) {
		return errors.Join(err, deviced.Reboot(ctx))
	}
	return err
}

func checkCommand(environ []string) *cobra.Command {
	var f flags
	c := &cobra.Command{Use: "check", Short: "Try each part of the device, without being it", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		f.launch(environ, c.ErrOrStderr(), true)
		cfg, _, err := f.load(environ, c.ErrOrStderr())
		if err != nil { // all that is to be mended is told in one round
			return usage{errors.Join(err, cfg.PinFaults().Err())}
		}
		return check(c.Context(), cfg, c.OutOrStdout())
	}}
	f.register(c.Flags())
	return c
}

func check(ctx context.Context, cfg deviced.Config, out io.Writer) error {
	bad := 0
	fmt.Fprintf(out, "ok    build   %s %s %s/%s\n", release.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, p := range deviced.Check(ctx, cfg, release.Version()) {
		word := "ok"
		if !p.OK {
			word, bad = "FAIL", bad+1
		}
		fmt.Fprintf(out, "%-5s %-7s %s\n", word, p.Part, p.Text)
	}
	if bad == 1 {
		return errors.New("1 of the device's parts does not work")
	}
	if bad > 1 {
		return fmt.Errorf("%d of the device's parts do not work", bad)
	}
	return nil
}
