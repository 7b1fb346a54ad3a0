// Package voice makes the texts of orders into clips on the hub, before a device
// is asked to play them: all devices sound the same, an order has its exact length,
// and a device needs no engine.
//
// # Concepts
//
// A [Voice] speaks each text once for its engine, voice and languages, and keeps
// the sound among the clips of the hub, under a key made of these. It may be asked
// for the length of a text, which begins to be spoken then, and for its clip, for
// which it is waited a while. Who cannot wait longer sends the work out without:
// a device that gets no clip, or cannot fetch it, speaks itself.
//
// The clip of an order stays until the order has ended ([Voice.Hold]); after that
// it goes when room is needed, before any that somebody sent.
//
// # Goroutines
//
// [Voice.Run] starts two that speak, and waits for them.
//
// # Queues
//
// 64 texts wait to be spoken. More are left to the devices; [Stats.Left] counts
// them.
//
// # What it does not do
//
// No chime, no repetition: those are the device's. It logs no text.
package voice
