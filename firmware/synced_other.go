//go:build !linux

package firmware

// Synced tells whether the kernel says that a time server keeps its wall clock;
// this one does not tell.
func Synced() bool { return false }

// KernelRun names the run of the machine; this one does not tell.
func KernelRun() string { return "" }
