//go:build !unix

package broker

import "math"

// Descriptors is how many files and sockets the process may have open at once.
func Descriptors() int { return math.MaxInt32 }
