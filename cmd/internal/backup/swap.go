package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// swap puts the new directory in the place of data, which has something in it or has
// not, and tells where the old one is then.
func swap(staging, data string, full bool, now time.Time) (aside string, err error) {
	defer func() {
		if err == nil {
			err = syncDir(filepath.Dir(data))
		}
	}()
	if !full {
		if err := os.Remove(data); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", mounted(data, err)
		}
		return "", os.Rename(staging, data)
	}
	if aside, err = freeName(data + ".before-" + now.UTC().Format("20060102T150405Z")); err != nil {
		return "", err
	}
	switch err := exchange(staging, data); {
	case err == nil: // staging is the old one now
		return aside, os.Rename(staging, aside)
	case !errors.Is(err, errors.ErrUnsupported):
		return "", mounted(data, err)
	}
	if err := os.Rename(data, aside); err != nil {
		return "", mounted(data, err)
	}
	if err := os.Rename(staging, data); err != nil {
		return "", errors.Join(err, os.Rename(aside, data))
	}
	return aside, nil
}

// mounted says what to do about a directory that cannot be renamed.
func mounted(data string, err error) error {
	if errors.Is(err, syscall.EBUSY) || errors.Is(err, syscall.EXDEV) {
		return fmt.Errorf("%w: %s is a file system of its own, which cannot be put aside: restore into a directory below it, and have the hub use that", err, data)
	}
	return err
}

// freeName is a name that nothing has.
func freeName(name string) (string, error) {
	for n := 1; ; n++ {
		free := name
		if n > 1 {
			free += "-" + strconv.Itoa(n)
		}
		if _, err := os.Lstat(free); errors.Is(err, fs.ErrNotExist) {
			return free, nil
		} else if err != nil {
			return "", err
		}
	}
}
