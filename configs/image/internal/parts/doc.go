// Package parts gathers what an image is made of: the kernel and the firmware of
// the Raspberry Pi, as modules of the Go module proxy (no blob is in the
// repository), and our programs, built for arm64.
package parts
