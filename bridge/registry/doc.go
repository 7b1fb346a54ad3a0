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
// Presence is what a sensor says of itself, or the broker or its gateway for it:
// connected, will, goodbye, asleep, timeout. One of which nothing was said is
// online while a live message came within [Config].Timeout, unknown until the
// first one, else offline (timeout). A retained copy is old news: its reading is
// stale, it does not move last_seen, and what it says of a sensor that is there
// holds for the timeout alone, unless something live follows.
//
// Of two values that a sensor timed by its own clock the newer is shown,
// whichever came last; both go into the history.
//
// The [Rulebook] has the operator's mappings: those of the configuration, and
// those that REST keeps.
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
// It reads no payloads (package mapping). What sensors say is gone with the
// process, but for the history; assignments and mappings are kept in tables that
// are interfaces.
package registry
