//go:build unix

package broker

import (
	"math"
	"syscall"
)

// descriptors is how many descriptors the process may have. The runtime has
// raised the soft limit to the hard one.
func descriptors() int {
	var r syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r) != nil || uint64(r.Cur) > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(r.Cur)
}
