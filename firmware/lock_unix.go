//go:build !windows

package firmware

import (
	"os"
	"syscall"
)

// inode is the number that the file alone has on its file system; 0: it is not known.
func inode(f *os.File) uint64 {
	info, err := f.Stat()
	if err != nil {
		return 0
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}

// lock takes the file for this process, until it ends; ErrInUse if another has
// it.
func lock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == syscall.EWOULDBLOCK {
		return ErrInUse
	}
	return err
}
