package firmware

import "golang.org/x/sys/unix"

// farOff is an error that no clock has that is kept by a server: the kernel's own
// bound (NTP_PHASE_LIMIT), in microseconds.
const farOff = 16_000_000

// Synced tells whether the kernel says that a time server keeps its wall clock,
// as timedatectl does.
func Synced() bool {
	var t unix.Timex
	_, err := unix.Adjtimex(&t)
	return err == nil && t.Maxerror < farOff
}

// KernelRun names the run of the machine; it is another one after each of its
// starts. Empty where the kernel does not tell.
func KernelRun() string { return oneLine("/proc/sys/kernel/random/boot_id") }
