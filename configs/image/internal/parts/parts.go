package parts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	_ "github.com/gokrazy/firmware"   // empty packages,
	_ "github.com/gokrazy/kernel.rpi" // which pin the modules in go.mod
)

// The modules that the kernel and the firmware come in.
const (
	kernelModule   = "github.com/gokrazy/kernel.rpi"
	firmwareModule = "github.com/gokrazy/firmware"
)

// What Gather makes, beside the folders of the modules.
const (
	Device = "tacet-device"
	Leader = "tacet-leader" // what the device leads its area with; not there where a device that was built already has none beside it
	Init   = "init"
	Zones  = "zoneinfo.zip" // time zones, as Go reads them
)

// Parts is where the parts of an image are.
type Parts struct {
	Kernel   fs.FS // vmlinuz, *.dtb, overlays
	Firmware fs.FS // start*.elf, fixup*.dat, bootcode.bin
	Programs fs.FS // Device, Leader, Init: static programs for linux/arm64; Zones
}

// Config says where to look and what to build.
type Config struct {
	Source string // the folder of the image's module; its repository is two above
	Out    string // folder for the programs; it is made
	Device string // a tacet-device that is built already, with or without a tacet-leader beside it; empty: build both

	Version string // of the tacet-device that is built, such as 1.2.3; empty: it has none
}

// Gather finds the kernel and the firmware in Go's module cache, which it fills,
// and builds the programs. It needs the go command, and blocks for it.
func Gather(ctx context.Context, c Config) (Parts, error) {
	var p Parts
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return p, err
	}
	kernel, err := moduleDir(ctx, c.Source, kernelModule)
	if err != nil {
		return p, err
	}
	firmware, err := moduleDir(ctx, c.Source, firmwareModule)
	if err != nil {
		return p, err
	}
	if err := zones(ctx, c.Source, filepath.Join(c.Out, Zones)); err != nil {
		return p, err
	}
	if err := build(ctx, c.Source, filepath.Join(c.Out, Init), "./init", ""); err != nil {
		return p, err
	}
	return Parts{Kernel: os.DirFS(kernel), Firmware: os.DirFS(firmware), Programs: os.DirFS(c.Out)}, c.device(ctx)
}

// zones brings the time zones that the Go toolchain has.
func zones(ctx context.Context, dir, out string) error {
	root, err := goRun(ctx, dir, nil, "env", "GOROOT")
	if err != nil {
		return err
	}
	b, err := os.ReadFile(filepath.Join(root, "lib", "time", "zoneinfo.zip"))
	if err != nil {
		return err
	}
	return os.WriteFile(out, b, 0o644)
}

// device brings the programs of the device.
func (c Config) device(ctx context.Context) error {
	root := filepath.Join(c.Source, "..", "..")
	if c.Device == "" {
		return errors.Join(build(ctx, root, filepath.Join(c.Out, Device), "./cmd/tacet-device", c.stamp()), build(ctx, root, filepath.Join(c.Out, Leader), "./cmd/tacet-leader", c.stamp()))
	}
	err := copyProgram(filepath.Join(filepath.Dir(c.Device), Leader), filepath.Join(c.Out, Leader))
	if errors.Is(err, fs.ErrNotExist) {
		err = os.RemoveAll(filepath.Join(c.Out, Leader)) // of another run
	}
	return errors.Join(err, copyProgram(c.Device, filepath.Join(c.Out, Device)))
}

// stamp tells the linker the version.
func (c Config) stamp() string {
	if c.Version == "" {
		return ""
	}
	return " -X github.com/tacet-hub/tacet/cmd/internal/release.stamp=tacet-release:v" + c.Version + ":"
}

func moduleDir(ctx context.Context, dir, module string) (string, error) {
	if _, err := goRun(ctx, dir, nil, "mod", "download", module); err != nil {
		return "", err
	}
	out, err := goRun(ctx, dir, nil, "list", "-m", "-f", "{{.Dir}}", module)
	if err == nil && out == "" {
		err = fmt.Errorf("module %s is not in the module cache", module)
	}
	return out, err
}

// build makes a static program for the Raspberry Pi: the same sources make the
// same bytes.
func build(ctx context.Context, dir, out, pkg, stamp string) error {
	out, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	env := []string{"GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0", "GOFLAGS="}
	_, err = goRun(ctx, dir, env, "build", "-trimpath", "-ldflags", "-s -w -buildid="+stamp, "-o", out, pkg)
	return err
}

func goRun(ctx context.Context, dir string, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GOWORK=off"), env...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, errs.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
}

// copyProgram copies a program that was built elsewhere, if it is one for the
// Raspberry Pi.
func copyProgram(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if len(b) < 20 || string(b[:4]) != "\x7fELF" || b[4] != 2 || b[18] != 0xb7 { // 64 bits, EM_AARCH64
		return fmt.Errorf("%s: %w", from, errors.New("not a program for linux/arm64"))
	}
	return os.WriteFile(to, b, 0o755)
}
