// Package history keeps what sensors measured: single points for an hour, means
// of ten seconds for a day, and answers with the mean of each step.
//
// # Concepts
//
// A series is the points of one [Key]: device, metric and channel. Points that
// come less than a second after another are added to it. Booleans are 0 and 1;
// text has no series. A point's own time counts, which may be years ago; how
// long it is kept counts from when it came.
//
// What came within one window of ten minutes is gathered in memory, and in a
// journal on the disk. When the window ends it becomes two segments, files that
// never change: one of the points, one of the means; the journal goes. Segments
// are compressed column by column (block.go) and checked by a checksum.
//
// The disk is written gently, for it may be an SD card: once a second the few
// bytes that are new are appended to the journal, without waiting for the disk;
// only a segment is waited for. Who kills the process costs it a second; who
// takes the power away, what the kernel has not written yet.
//
// # Bounds
//
// [Config].Series bounds the series: a new one beyond that is refused and
// counted, unless one of which nothing came for a day gives its place.
// [Config].Bytes bounds the whole: a thousand series that measure once a second
// take about 60 MiB; beyond that the oldest segments go first, points before
// means, and are counted. A series gathers at most 4,096 points in a window; the
// oldest go.
//
// # Goroutines
//
// Run writes; it ends with its context. Everything else happens on the caller's
// goroutine. Adding never waits for the disk; asking may read it.
package history
