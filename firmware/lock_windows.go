package firmware

import (
	"os"

	"golang.org/x/sys/windows"
)

// inode is 0: the files of a copy cannot be told from the first ones here.
func inode(*os.File) uint64 { return 0 }

// lock takes the file for this process, until it ends; ErrInUse if another has
// it.
func lock(f *os.File) error {
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, new(windows.Overlapped))
	if err == windows.ERROR_LOCK_VIOLATION {
		return ErrInUse
	}
	return err
}
