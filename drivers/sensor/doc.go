// Package sensor is the sensors of a device: temperature, humidity and pressure
// by BME280, temperature by DS18B20, the noise in the room by a microphone, the
// processor's temperature and the supply's voltage by the kernel.
//
// # Concepts
//
// A [Sensor] is measured at an interval, by a driver that is opened when it is
// needed: after an error it is closed and opened again, since a chip that was
// without power has forgotten its settings. Values outside what the datasheet
// promises are errors; a driver's file tells the traps of its chip. After an error
// the next try waits longer each time, up to 5 minutes.
//
// # Goroutines
//
// [Run] starts one for each sensor and waits for them. A driver may block for as
// long as its bus does, at most 2 s; nothing waits for it but the end.
//
// # What it does not do
//
// It has no sound card: a microphone is handed over. It publishes nothing, and
// does not judge what it measures.
package sensor
