// Package gpio is the switches of a device on the pins of a board: the relay of
// the amplifier, the busy lamp, the status light, the mute button and other
// inputs, by the kernel's GPIO character devices.
//
// # Concepts
//
// [Board] has the methods of firmware.Beacon. The amplifier is switched inline,
// since its relay has to be closed before the first sample; the status light
// blinks by a goroutine, in the patterns of [Patterns]; each input has a
// goroutine of its own that debounces it and makes one [Event] of each press.
//
// Outputs are active high: a line that nobody drives is pulled down or floats,
// and what hangs on it must be quiet then. Closing a Board drives every output
// low and gives the lines back. A process that is killed cannot; the kernel then
// takes its lines away, and what becomes of their levels is the board's driver's
// to say: those of the Raspberry Pi keep them (its parameter
// persist_gpio_outputs) unless told otherwise. [Host.Keeps] tells which it is,
// and [Quiet] drives the outputs low from another process.
//
// A pin is named as in [ParsePin]. A line that somebody else has is a
// [*BusyError] that says who. A Board goes on without a pin that cannot be had,
// and tries it again.
//
// # What it makes of its library
//
// Chips, names and outputs are those of periph's package gpioioctl, imported
// directly: host.Init would also start bcm283x, which writes to memory that is
// not the GPIO's on a Raspberry Pi 5. Six of its faults are kept away from here:
//
//   - reading an output makes it an input with a pull-up: an [Output] remembers
//     its own state and is never read;
//   - WaitForEdge(-1) returns at once, 0 waits for ever: an input waits for a
//     finite time, and pauses if a wait ends early;
//   - an output is low before it has its first level: outputs are active high;
//   - closing a chip closes descriptor 0: it is opened again;
//   - a line that was refused answers the next Out by an ioctl on descriptor 0:
//     it is closed after each error;
//   - the kernel keeps 16 edges of a line, and the library hides their numbers:
//     inputs are requested here, with a longer queue, and what is missing is
//     counted.
//
// # Goroutines
//
// [Board.Run] starts one for the light and the amplifier's longest time, and one
// per input; it waits for them.
//
// # Queues
//
// The kernel's of each input: 64 edges; it drops the oldest, which [Stats.Lost]
// counts. Events are not queued: the function that hears them only enqueues.
//
// # What it does not do
//
// It decides nothing: when the amplifier is on, what the light shows and what a
// press means is the agent's.
package gpio
