package deviced

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// writable does what writes in a directory. Where that is a file system which is
// mounted read only, as the boot partition of the card is, and the process has
// the right, it is mounted to be written, at once and through to the disk, for
// that moment alone: what is not mounted so cannot be torn by a power cut. It
// fails as do does, or where the file system stays as it must not be.
func writable(dir string, do func() error) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil || fs.Flags&unix.ST_RDONLY == 0 {
		return do()
	}
	flags := mountFlags(int64(fs.Flags)) | unix.MS_REMOUNT
	if err := unix.Mount("", dir, "", flags|unix.MS_SYNCHRONOUS, ""); err != nil {
		return do() // which tells that it cannot write there
	}
	err := do()
	if bad := unix.Mount("", dir, "", flags|unix.MS_RDONLY, ""); bad != nil {
		err = errors.Join(err, fmt.Errorf("%s stays writable: %w", dir, bad))
	}
	return err
}

// mountFlags are the flags of mount(2) that keep what statfs(2) tells of a mount,
// but for read only.
func mountFlags(statfs int64) (flags uintptr) {
	for _, f := range []struct {
		told  int64
		keeps uintptr
	}{
		{unix.ST_NOSUID, unix.MS_NOSUID}, {unix.ST_NODEV, unix.MS_NODEV}, {unix.ST_NOEXEC, unix.MS_NOEXEC}, {unix.ST_SYNCHRONOUS, unix.MS_SYNCHRONOUS},
		{unix.ST_NOATIME, unix.MS_NOATIME}, {unix.ST_NODIRATIME, unix.MS_NODIRATIME}, {unix.ST_RELATIME, unix.MS_RELATIME},
	} {
		if statfs&f.told != 0 {
			flags |= f.keeps
		}
	}
	return flags
}
