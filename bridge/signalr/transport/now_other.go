//go:build !linux

package transport

const instant = false

// write is never called.
func (w *Now) write(uintptr) bool { return true }

// read is never called.
func (q *quick) read(uintptr) bool { return true }
