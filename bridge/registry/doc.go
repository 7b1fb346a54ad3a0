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
// What a sensor is (id, name, area, what it says of itself, its metrics with
// channel and unit) outlives the process, with its newest values and last_seen as
// they were at most ten minutes before a crash. After a restart its readings are
// stale and it is unknown, or offline or asleep as it said, until it is heard live;
// retained copies do not change that. One that nobody heard for 30 days and nobody
// assigned is forgotten.
//
// The [Rulebook] has the operator's mappings: those of the configuration, and
// those that REST keeps.
//
// The number of sensors and of metrics is bounded; what is beyond is refused
// and counted, so a flood of made-up topics cannot push out what was there.
//
// # Several nodes
//
// The registries of a hub's nodes show one list ([Registry.Join]). Each speaks for what
// it has heard itself: a word on a sensor, and each of its readings, has the node that
// heard it and a stamp by that node's clock, and the newest counts at all of them. What
// came in at another node is not put in here.
//
// What is heard is told to the others at once, and then at most ten times a second, the
// later the more it was, once a second of a thousand sensors: of each reading the
// newest. So another node is behind by a tenth of a second, by a second at most where
// thousands speak. Who is new, back, or has missed something asks for everything. What
// a sensor is, with its newest values, is in a table that all nodes have too, as often
// as it goes to disk: that is what is known when a node is gone for good, at most ten
// minutes old for those who start after that.
//
// When a node is gone, or cannot be reached for 20 s, nobody knows how the sensors are
// that it heard: what it heard is stale, until it is back or they are heard elsewhere.
//
// The course of readings ([Registry.Courses]) is joined of the histories of all nodes,
// each of which has what it heard itself: nothing is written twice, and a node needs no
// copy of what others measured. Whose part is missing is named. When which node has
// heard a sensor last is remembered for that for 25 hours, of 16 nodes.
//
// # Queues
//
// Of what has to be told each sensor waits once. Of what others tell 1,024 envelopes
// wait; over that the newest is dropped, counted, and all of its node asked for.
//
// # Goroutines
//
// Run watches for sensors that fall silent, tells the watchers, and writes to disk
// what has changed; it starts and awaits two, one that tells other nodes and hears
// them, one that asks them for everything. They end with its context. Everything else
// happens on the caller's goroutine, under one mutex; nothing is called while it is held.
//
// # What it does not do
//
// It reads no payloads (package mapping), and it writes nothing for each reading:
// that is the history's. Sensors, assignments and mappings are kept in tables that
// are interfaces.
package registry
