//go:build linux

package rungs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/cmd/internal/rungs/proof"
)

// rung3 is a kernel with simulated pins and a sound card that loops back, in a
// process: User-Mode Linux.
var rung3 = Rung{
	Number: 3, Title: "User-Mode Linux: real pins, real sound", Limit: 5 * time.Minute,
	Lines: append([]string{"device.nobcm283x"}, slices.Concat(kernelLines, gpioLines, soundLines, []string{"watchdog.feed", "watchdog.bite"}, named("device", turnLines), named("device", ordealLines))...),
	needs: []need{{umlSource, umlPackage}, {"make", "make"}, {"gcc", "gcc"}, {"flex", "flex"}, {"bison", "bison"}, {"bc", "bc"}, {"xz", "xz-utils"}, {slirp, "slirp"}},
	fetch: func(ctx context.Context, s *Site) error {
		_, err := s.Cache.UML(ctx)
		return err
	},
	climb: func(ctx context.Context, s *Site, sheet *proof.Sheet) error {
		detail, err := noBCM283x(ctx, s.Tree)
		sheet.Check("device.nobcm283x", detail, err)
		if err := suites(ctx, s, sheet); err != nil {
			return err
		}
		detail, err = bite(ctx, s)
		sheet.Check("watchdog.bite", detail, err)
		return umlStage(ctx, s, sheet)
	},
}

// umlStage has two whole devices take turns, and fall.
func umlStage(ctx context.Context, s *Site, sheet *proof.Sheet) error {
	kernel, err := s.Cache.UML(ctx)
	if err != nil {
		return err
	}
	dir, err := s.dir("stage")
	if err != nil {
		return err
	}
	const pins = "gpio: {amp_enable: GPIO22, busy_lamp: GPIO17, status_led: GPIO27, mute_button: GPIO5}\n"
	st, err := newStage(ctx, s, hostArch, pins, func(g Guest) (*Machine, error) { return StartUML(ctx, kernel, dir, g) })
	if err != nil {
		return err
	}
	defer st.close()
	if st.perform(ctx, sheet, "device") {
		st.endure(ctx, sheet, "device")
	}
	return nil
}

// The lines of the suites of the probe.
var (
	kernelLines = []string{"kernel.version", "kernel.sound", "kernel.soundclock"}
	gpioLines   = []string{"gpio.descriptor0", "gpio.chip", "gpio.kill", "gpio.noglitch", "gpio.out", "gpio.busy", "gpio.idle", "gpio.press", "gpio.pulls", "gpio.close"}
	soundLines  = []string{"sound.play", "sound.frequency", "sound.gaps", "sound.length", "sound.delay", "sound.drain", "sound.xrun", "sound.drop", "sound.busy", "sound.thousand"}
)

// suites has the probe try the drivers, in a guest that travels in time.
func suites(ctx context.Context, s *Site, sheet *proof.Sheet) error {
	m, err := startSuites(ctx, s, "kernel,gpio,watchdog,sound")
	if err != nil {
		return err
	}
	defer m.Kill()
	return m.Follow(ctx, sheet)
}

// startSuites starts a guest that travels in time and tries what is named.
func startSuites(ctx context.Context, s *Site, names string) (*Machine, error) {
	kernel, err := s.Cache.UML(ctx)
	if err != nil {
		return nil, err
	}
	probe, err := s.program(ctx, "cmd/internal/rungs/probe", hostArch)
	if err != nil {
		return nil, err
	}
	dir, err := s.dir("suites")
	if err != nil {
		return nil, err
	}
	return StartUML(ctx, kernel, dir, Guest{Name: "suites", Init: probe, Travel: true, Env: map[string]string{"HW_SUITES": names}})
}

// bite has a guest open its watchdog and hang: the machine ends without a word.
func bite(ctx context.Context, s *Site) (string, error) {
	m, err := startSuites(ctx, s, "bite")
	if err != nil {
		return "", err
	}
	defer m.Kill()
	if _, err := m.Await(ctx, "BITE ready"); err != nil {
		return "", err
	}
	line, err := m.Await(ctx, "HW ")
	if err == nil {
		return "", errors.New(line)
	}
	return "a machine whose watchdog is not fed is reset", ctx.Err()
}

// noBCM283x looks whether the device is built without the library's package that
// writes to the registers of the wrong chip on a Raspberry Pi 5, and does not
// know the names of lines of a 3B.
func noBCM283x(ctx context.Context, tree string) (string, error) {
	list, err := output(ctx, tree, "go", "list", "-deps", "./cmd/tacet-device")
	if err != nil {
		return "", err
	}
	for _, bad := range []string{"periph.io/x/host/v3/bcm283x", "periph.io/x/host/v3/rpi"} {
		if strings.Contains(list, bad+"\n") {
			return "", fmt.Errorf("tacet-device is built with %s", bad)
		}
	}
	return "tacet-device is built without periph's bcm283x", nil
}
