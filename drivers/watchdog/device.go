package watchdog

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// Path is where the kernel has its first watchdog.
const Path = "/dev/watchdog"

// Device is a watchdog of the machine. Its methods are safe for concurrent use
// and do not block.
type Device struct {
	file    *os.File
	timeout time.Duration
	reset   bool
}

// Open opens the watchdog at path, which starts it, and asks it for a timeout of
// whole seconds, at least 1 s; one that has a fixed or a shorter limit keeps its
// own ([Device.Timeout]). It fails where another program has it open. A file that
// is no watchdog is taken for one whose timeout is what was asked for.
func Open(path string, timeout time.Duration) (*Device, error) {
	if timeout < time.Second {
		return nil, fmt.Errorf("watchdog %s: timeout %v is under 1 s", path, timeout)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("watchdog: %w", err)
	}
	d := &Device{file: f, timeout: timeout}
	if err := d.settle(); err != nil {
		return nil, errors.Join(fmt.Errorf("watchdog %s: %w", path, err), d.Close())
	}
	return d, nil
}

// Timeout is how long the machine goes on without being fed.
func (d *Device) Timeout() time.Duration { return d.timeout }

// WasReset tells whether the watchdog says that it was what started the machine
// anew. Not all of them know; that of a Raspberry Pi does not.
func (d *Device) WasReset() bool { return d.reset }

// Feed says that all is well: the timeout begins again.
func (d *Device) Feed() error {
	_, err := d.file.Write([]byte{'k'}) // any byte but V
	return err
}

// Close stops the watchdog and gives it back. Where its driver was built with
// "nowayout" it goes on, and the machine is reset unless somebody feeds it.
func (d *Device) Close() error {
	_, err := d.file.Write([]byte{'V'}) // the magic close of watchdog-api.rst
	return errors.Join(err, d.file.Close())
}
