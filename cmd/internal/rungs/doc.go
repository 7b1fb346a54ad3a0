//go:build linux

// Package rungs is the hardware ladder: what a device does on kernels, sound
// cards and pins is shown without hardware, each rung nearer to a Raspberry Pi
// than the one below. "make test-hardware" climbs it, RUNG=3 one rung; rungs 0
// to 3 are a part of "make test".
//
// # Concepts
//
//	rung  what it has                                        wall time, two cores, load 15
//	0     simulated pins, buses and loudspeakers             150 s; 8 s when all is cached
//	1     the same tests built for arm64, under qemu-user    75 to 165 s
//	2     PulseAudio: a null sink, recorded by its monitor,  20 s
//	      two whole devices on it
//	3     User-Mode Linux: gpio-sim, snd-aloop, in a         60 to 120 s, and once 4 to
//	      process, without any rights; two whole devices     8 min for its kernel (the
//	      and a hub outside                                  suites alone: 15 s)
//	4     arm64, Debian's kernel as it is, QEMU's virt;      45 to 65 s, and once
//	      a button from outside; two whole devices and a hub 30 s to fetch it
//	5     the SD card that tacet-image writes, on QEMU's     300 to 540 s at load 20
//	      raspi3b, one processor of it: code, Ethernet,      to 30, most of it the
//	      USB sound, pin, update, power cut                  update's download
//
// A rung prints a line for each thing that it has proved, "HW ok|FAIL name
// detail", and "RESULT fails=N" at its end. It knows which lines have to come: a
// part that did not run is a failure, and so is one that could not be had.
//
// A guest is a kernel with a first root in memory, written by [Guest]; its first
// process is the program probe, which tries the drivers, and runs tacet-device
// when a [Control] tells it to. Sound and pins of a guest come to the host as one
// recording (package scope), and are judged there.
//
// HW_CONSOLE=1 in the environment shows the consoles of all machines.
//
// In User-Mode Linux a guest may travel in time: its clock goes on when it waits,
// and stands while it works. What is exact in time there is exact on a busy
// machine too, and a thousand plays take seconds. What speaks to a hub outside
// cannot: on a busy machine its sounds have gaps, which are told and no failure.
//
// Kernels are kept in a [Cache] outside of the tree, named by what they are made
// of. Nothing is ever removed from it by this package.
//
// # Goroutines
//
// [Start] starts one that waits for the process and one that reads its console;
// they end with the process. [Listen] starts one that accepts, and one for each
// connection; [Control.Close] ends them and waits.
//
// # Queues
//
// Lines of a console: 4,096 for a reader; more are dropped, the last 200 stay in
// [Machine.Said].
//
// # What it does not do
//
// No rung runs the firmware of a Pi, its config.txt and overlays, its analog,
// HDMI or I2S sound, or Wi-Fi: that takes a Pi, and a person.
package rungs
