// Package history keeps what sensors measured in the last hour, in memory, and
// answers with the mean of each step.
//
// # Concepts
//
// A series is the points of one [Key]: device, metric and channel. Points that
// come less than a second after the last one are added to it, so that an hour
// has at most 3,601 of them, whatever the sensor does. Booleans are 0 and 1;
// text has no series.
//
// There are at most [Config].Series series. A new one beyond that is refused
// and counted, unless a series whose points are all too old can give its place.
//
// # What it does not do
//
// No goroutine and no disk. It has no clock: a point's own time, and the time
// of the question, are all it knows.
package history
