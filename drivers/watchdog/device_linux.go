package watchdog

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// Of linux/watchdog.h, which golang.org/x/sys has in part.
const cardReset = 0x20 // WDIOF_CARDRESET

// settle sets the timeout, and reads it back: a driver may round it or refuse
// it. Drivers without one of the calls, and files that are no watchdog, answer
// ENOTTY or EOPNOTSUPP.
func (d *Device) settle() error {
	fd := int(d.file.Fd())
	err := unix.IoctlSetPointerInt(fd, unix.WDIOC_SETTIMEOUT, int(d.timeout/time.Second))
	if lacks(err) || errors.Is(err, unix.EINVAL) { // no call, or out of its range
		err = nil
	}
	if err != nil {
		return err
	}
	switch s, err := unix.IoctlGetInt(fd, unix.WDIOC_GETTIMEOUT); {
	case err == nil && s > 0:
		d.timeout = time.Duration(s) * time.Second
	case err != nil && !lacks(err):
		return err
	}
	flags, err := unix.IoctlGetInt(fd, unix.WDIOC_GETBOOTSTATUS)
	d.reset = err == nil && flags&cardReset != 0
	return nil
}

func lacks(err error) bool {
	return errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS)
}
