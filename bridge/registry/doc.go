// Package registry knows the sensors: which there are, in which area, whether
// they are there, and the newest reading of each of their metrics. Readings of
// players (a loudspeaker with a thermometer) are here too; the players
// themselves are the roster's.
//
// # Concepts
//
// The area of a sensor is, in this order: what an operator assigned, the text
// that its topic captured, unassigned. A captured text that names no area makes
// one, within the roster's limits.
//
// A sensor is online while a live message came within [Config].Timeout, unknown
// until the first one, else offline. A retained copy is old news: its reading is
// stale, and it moves neither last_seen nor presence.
//
// The number of sensors and of metrics is bounded; what is beyond is refused
// and counted, so a flood of made-up topics cannot push out what was there.
//
// # Goroutines
//
// Run watches for sensors that fall silent and tells the watchers; it ends with
// its context. Everything else happens on the caller's goroutine, under one
// mutex; nothing is called while it is held.
//
// # What it does not do
//
// It reads no payloads (package mapping) and stores nothing on disk; history
// and assignments are interfaces.
package registry
