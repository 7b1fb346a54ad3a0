// Package inbox is the queue between somebody who calls back with messages and
// must not wait, such as a bus, and a goroutine that works on them.
//
// # Concepts
//
// A [Queue] is bounded in messages and in bytes of topics and payloads. Over a
// bound the oldest go, and are counted ([Queue.Dropped]): of a state the newest
// says what is so. One message may be larger than the bound alone.
//
// # What it does not do
//
// No goroutine, no clock, nothing on disk.
package inbox
