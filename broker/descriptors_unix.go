//go:build unix

package broker

import (
	"math"
	"syscall"
)

// Descriptors is how many files and sockets the process may have open at once. The runtime has
// raised the soft limit to the hard one.
func Descriptors() int {
	var r syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r) != nil || uint64(r.Cur) > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(r.Cur)
}
