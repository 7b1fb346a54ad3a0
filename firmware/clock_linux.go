package firmware

import (
	"time"

	"golang.org/x/sys/unix"
)

// Boottime is the time since the machine was started, time in which it was
// suspended included (CLOCK_BOOTTIME): Go's own monotonic clock stands still
// then, and a lease does not.
type Boottime struct{}

// Now reads the clock. It does not block and is safe for concurrent use.
func (Boottime) Now() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic("firmware: the kernel has no CLOCK_BOOTTIME: " + err.Error()) // all have it since 2.6.39
	}
	return time.Duration(ts.Nano())
}
