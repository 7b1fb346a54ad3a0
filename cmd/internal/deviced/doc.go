// Package deviced assembles a device: memory, loudspeaker, speech, uplink and
// agent. cmd/tacet-device runs one, the demonstration several in one process,
// each with a connection of its own.
//
// # Concepts
//
// [Config] is device.yaml; [Load] reads it with environment and flags over it.
// [New] opens the device's memory and builds its parts, [Device.Run] is the
// device. [Check] tries each part without being the device.
//
// A device can also be told who it is by a code, in device.yaml or in tacet.yaml on
// the boot partition, which any PC can edit: [Enrol] trades it for a credential.
//
// A device that has keys for it (updates.keys) takes updates: the program on
// trial is vouched for once the hub has answered it and its sound is as good as
// before, and the run ends for a new one when nothing sounds. [Launching] reads
// for the launcher what it needs, whatever else the configuration says.
//
// The device has a place among the members of its area (peers.mode): package leader
// keeps it, and says where the device's connection leads.
//
// What device.yaml can name and this version cannot do is refused by name: search
// for a hub. A loudspeaker, a pin or a sensor that is missing
// is told in the status: the rest goes on.
//
// # Goroutines
//
// Those of firmware.Agent, leader.Seat, trunk.Link, host.Host with what serves the
// web listener of a reign, the scheduler of announcements, gpio.Board and
// sensor.Sensors, all inside Run.
//
// # What it does not do
//
// It reads no flags and handles no signals; that is main's.
package deviced
