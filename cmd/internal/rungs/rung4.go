//go:build linux

package rungs

import (
	"context"
	"time"

	"github.com/tacet-hub/tacet/cmd/internal/rungs/proof"
)

// rung4 is a stock kernel of Debian on an emulated arm64 board.
var rung4 = Rung{
	Number: 4, Title: "arm64: Debian's kernel on QEMU's virt", Limit: 5 * time.Minute,
	Lines: kernelLines,
	fetch: func(ctx context.Context, s *Site) error {
		_, err := s.Cache.DebianARM64(ctx)
		return err
	},
	climb: func(ctx context.Context, s *Site, sheet *proof.Sheet) error {
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
		ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
		defer cancel()
		m, monitor, err := StartVirt(ctx, kernel, dir, Guest{Name: "suites", Init: probe, Env: map[string]string{"HW_SUITES": "kernel"}})
		if err != nil {
			return err
		}
		defer m.Kill()
		defer monitor.Close()
		return m.Follow(ctx, sheet)
	},
}
