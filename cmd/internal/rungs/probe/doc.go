//go:build linux

// Probe is the first process of a guest of the hardware ladder: it sets up the
// machine, tries what it is told to try on the kernel that is really there, says
// what it found on the console in the words of package proof, and switches the
// machine off.
//
// # Concepts
//
// The kernel hands it its environment: key=value words on the command line that
// the kernel does not know.
//
//	HW_SUITES   kernel,gpio,sound,…: what to try, in this order
//	HW_CONTROL  host:port of who drives a device in this guest; none: no device
//	HW_NAME     name of the guest, for who drives several
//
// What measures is not what is measured: the recorder and the eyes on the pins
// are the probe's own, a few ioctls and files; the drivers are those of the
// device.
//
// # Goroutines
//
// A suite starts what it needs and waits for it.
//
// # What it does not do
//
// It is no part of the device. It is not fit to run on a machine that somebody
// uses: it switches it off.
package main
