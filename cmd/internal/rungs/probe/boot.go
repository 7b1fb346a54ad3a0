//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// boot makes of a bare kernel a machine: file systems, modules, pins where they
// can be simulated, network.
func boot() error {
	if err := mounts(); err != nil {
		return err
	}
	if err := addRandomness("/seed"); err != nil {
		return fmt.Errorf("randomness: %w", err)
	}
	if err := modules("/modules/order"); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Dir(simConfig)); err == nil {
		if err := makeSim(); err != nil {
			return fmt.Errorf("simulated chip: %w", err)
		}
	}
	if err := up("lo", net.IPv4(127, 0, 0, 1)); err != nil {
		return err
	}
	if os.Getenv("HW_CONTROL") == "" {
		return nil
	}
	return up("eth0", net.IPv4(10, 0, 2, 15)) // what slirp and QEMU's user network expect
}

func mounts() error {
	for _, m := range []struct{ kind, at string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/tmp"}, {"tmpfs", "/run"},
		{"configfs", "/sys/kernel/config"}, {"debugfs", "/sys/kernel/debug"},
	} {
		if err := os.MkdirAll(m.at, 0o755); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil && m.kind != "configfs" && m.kind != "debugfs" {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	return nil
}

// addRandomness gives the kernel what is in a file of 64 bytes, and has it believe
// in it (RNDADDENTROPY of random(4)).
func addRandomness(file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	add := struct {
		bits, size int32
		bytes      [64]byte
	}{bits: 512, size: 64}
	if copy(add.bytes[:], raw) != len(add.bytes) {
		return fmt.Errorf("%s has %d bytes", file, len(raw))
	}
	f, err := os.OpenFile("/dev/random", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), unix.RNDADDENTROPY, uintptr(unsafe.Pointer(&add))); errno != 0 {
		return errno
	}
	return nil
}

// modules loads what is listed in a file, a path and its parameters on each
// line, in that order. There is no file where the kernel has all in itself.
func modules(list string) error {
	raw, err := os.ReadFile(list)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for line := range strings.Lines(string(raw)) {
		path, params, _ := strings.Cut(strings.TrimSpace(line), " ")
		if path == "" {
			continue
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(f.Fd()), params, 0)
		_ = f.Close() // it was only read
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("module %s: %w", path, err)
		}
	}
	return err
}

// up gives an interface an address in a network of 24 bits, and switches it on.
func up(name string, ip net.IP) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	set := func(what uint, b net.IP) error {
		if err := r.SetInet4Addr(b.To4()); err != nil {
			return err
		}
		return unix.IoctlIfreq(fd, what, r)
	}
	if err := set(unix.SIOCSIFADDR, ip); err != nil {
		return fmt.Errorf("address of %s: %w", name, err)
	}
	if err := set(unix.SIOCSIFNETMASK, net.IPv4(255, 255, 255, 0)); err != nil {
		return fmt.Errorf("network of %s: %w", name, err)
	}
	r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r); err != nil {
		return fmt.Errorf("%s up: %w", name, err)
	}
	return nil
}
