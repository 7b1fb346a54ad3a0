//go:build linux

package rungs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/cmd/internal/rungs/proof"
)

// rung4 is a stock kernel of Debian on an emulated arm64 board: the edge of a
// button comes from outside, and two whole devices take turns.
var rung4 = Rung{
	Number: 4, Title: "arm64: Debian's kernel on QEMU's virt, two devices and a hub", Limit: 10 * time.Minute,
	Lines: slices.Concat(kernelLines, []string{"edge.button"}, testLines(), named("virt", turnLines)),
	needs: []need{{"qemu-system-aarch64", "qemu-system-arm"}, {"apt-get", "apt"}, {"dpkg-deb", "dpkg"}},
	fetch: func(ctx context.Context, s *Site) error {
		_, err := s.Cache.DebianARM64(ctx)
		return err
	},
	climb: func(ctx context.Context, s *Site, sheet *proof.Sheet) error {
		if err := virtSuites(ctx, s, sheet); err != nil {
			return err
		}
		return virtStage(ctx, s, sheet)
	},
}

// virtSuites has the probe try what this kernel has, and presses the power button
// of the board when it is told that somebody waits for it.
func virtSuites(ctx context.Context, s *Site, sheet *proof.Sheet) error {
	kernel, err := s.Cache.DebianARM64(ctx)
	if err != nil {
		return err
	}
	probe, err := s.program(ctx, "cmd/internal/rungs/probe", "arm64")
	if err != nil {
		return err
	}
	dir, err := s.dir("virt")
	if err != nil {
		return err
	}
	g := Guest{Name: "suites", Init: probe, Files: map[string]string{}, Texts: map[string]string{}, Env: map[string]string{"HW_SUITES": "kernel,edge,tests"}}
	if err := addTests(ctx, s, &g); err != nil {
		return err
	}
	m, monitor, err := StartVirt(ctx, kernel, dir, g)
	if err != nil {
		return err
	}
	defer m.Kill()
	defer monitor.Close()
	m.When("EDGE ready", func() {
		if _, err := monitor.Do(ctx, "system_powerdown"); err != nil {
			sheet.Fail("edge.powerdown", "%v", err)
		}
	})
	return m.Follow(ctx, sheet)
}

// addTests gives a guest the tests that rung 1 cannot run: the programs, and a
// list of which tests of which.
func addTests(ctx context.Context, s *Site, g *Guest) error {
	var list strings.Builder
	for _, pkg := range slices.Sorted(maps.Keys(beyond)) {
		path, err := s.tests(ctx, pkg, "arm64")
		if err != nil {
			return err
		}
		inside := "/tests/" + strings.ReplaceAll(pkg, "/", "-")
		g.Files[inside] = path
		fmt.Fprintf(&list, "%s %s\n", inside, exactly(beyond[pkg]))
	}
	g.Texts["/tests/list"] = list.String()
	return nil
}

// testLines are the lines of these tests.
func testLines() (lines []string) {
	for _, pkg := range slices.Sorted(maps.Keys(beyond)) {
		lines = append(lines, "tests."+strings.ReplaceAll(pkg, "/", "-"))
	}
	return lines
}

// virtStage is what User-Mode Linux has seen, on the processor of a Pi: slower,
// so without what happens in the middle of a sound.
func virtStage(ctx context.Context, s *Site, sheet *proof.Sheet) error {
	kernel, err := s.Cache.DebianARM64(ctx)
	if err != nil {
		return err
	}
	dir, err := s.dir("stage")
	if err != nil {
		return err
	}
	st, err := newStage(ctx, s, "arm64", "", func(g Guest) (*Machine, error) {
		m, _, err := StartVirt(ctx, kernel, dir, g)
		return m, err
	})
	if err != nil {
		return err
	}
	defer st.close()
	if !st.perform(ctx, sheet, "virt") {
		return errors.New("the rest was not tried")
	}
	return nil
}
