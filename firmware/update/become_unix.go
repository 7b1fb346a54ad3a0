//go:build unix

package update

import (
	"errors"
	"syscall"
)

// become makes this process the program of the file; it returns only where that
// fails.
func become(path string, args, environ []string) error { return syscall.Exec(path, args, environ) }

// lasting tells whether a program that could not be executed never can.
func lasting(err error) bool {
	for _, e := range []error{syscall.ENOEXEC, syscall.ENOENT, syscall.EACCES, syscall.EINVAL} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
