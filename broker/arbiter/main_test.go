package arbiter

import (
	"os"
	"runtime/debug"
	"testing"
)

// TestMain lets the heap grow: the simulation makes much small garbage, and
// half of its time went into collecting it.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}
