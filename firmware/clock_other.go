//go:build !linux

package firmware

import "time"

var started = time.Now()

// Boottime is the time since the process was started. Unlike on Linux it may
// stand still while the machine is suspended: simulated devices alone run here.
type Boottime struct{}

// Now reads the clock. It does not block and is safe for concurrent use.
func (Boottime) Now() time.Duration { return time.Since(started) }
