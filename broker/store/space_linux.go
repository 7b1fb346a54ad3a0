package store

import (
	"os"
	"syscall"
)

// allocate gives the file blocks up to a size, and that size.
func allocate(f *os.File, size int64) error {
	for {
		err := syscall.Fallocate(int(f.Fd()), 0, 0, size)
		if err != syscall.EINTR {
			return err
		}
	}
}
