// Package player measures the program of a device: its size, what it takes when
// nothing happens, how soon it sounds, and what a thousand plays leave behind.
//
// # Concepts
//
// [Run] builds the programs that it measures, starts a real hub and a real device
// in processes of their own, and asks the hub over REST for sounds, as anybody
// would. When the device sounds it knows from the notes of the simulated
// loudspeaker; what a PulseAudio server has played, from a recording of its
// monitor. Each figure stands beside something of the same run that does the same
// with less, where there is such a thing.
//
// # Goroutines
//
// One reads the recording; it ends with the recorder. The MQTT client has its own.
//
// # What it does not do
//
// It judges no machine: what a Raspberry Pi reaches has to be measured there, by
// the same command.
package player
