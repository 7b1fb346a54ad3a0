package settings

import (
	"runtime/debug"
	"time"
)

// Built is when the sources of this program were committed, a time that has passed
// whatever the clock says; the zero time where the build does not know it.
func Built() time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return time.Time{}
	}
	for _, s := range info.Settings {
		if t, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil {
			return t
		}
	}
	return time.Time{}
}
