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

// bytesLeft is what a file system has left for us; where it does not say,
// enough.
func bytesLeft(dir string) int64 {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil || st.Blocks == 0 {
		return 1 << 50
	}
	return int64(min(st.Bavail, 1<<40)) * st.Bsize
}
