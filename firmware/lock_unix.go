//go:build !windows

package firmware

import (
	"os"
	"syscall"
)

// lock takes the file for this process, until it ends; ErrInUse if another has
// it.
func lock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == syscall.EWOULDBLOCK {
		return ErrInUse
	}
	return err
}
