package signalr

import (
	"context"
	"strconv"
	"time"
)

// Log numbers the events of groups for all nodes of a cluster, and keeps them for a time:
// a position that one node has given out is a position at every other. Its events reach
// members, those of the node that sends them too, when they have their number; so all
// members see them in one order, and what a killed node has shown anybody is kept.
//
// While the log is away a node sends without numbers: to its own members at once, to
// others as the cluster can. The first events of that time wait for the log for a second,
// those that follow not at all. The group then has an epoch of that node's own, and when
// the log is back another one for all, so that who comes back with a position of before is
// told of a gap; members are told of both (Config.Repositioned). What was written to the
// epoch before is read to its end then, and each node names its newest event, so that what
// got lost is known to be. A log that was set back, and gives out places a second time,
// gets another epoch, too. What one node sends to a group never overtakes what it sent before; for
// what does not come others wait three seconds.
type Log interface {
	// Numbers tells whether the log numbers the events of a group. It must be quick.
	Numbers(group string) bool
	// Append queues a record to be put behind those of its group, and calls placed
	// once, from a goroutine of the log, for the records of a group in their order: with
	// the record's place, or an error, after which nobody knows whether it is there. It
	// does not block; what its queue does not take gets an error at once.
	Append(group string, record []byte, placed func(Position, error))
	// Open answers where groups stand, and begins an epoch for one that has none, or
	// none behind those that are named (empty: any will do).
	Open(ctx context.Context, groups, behind []string) ([]Position, error)
	// Since lists the records of a position's epoch behind it, oldest first, as far as
	// they are kept; gap says that some are gone, or that the group has another epoch.
	Since(ctx context.Context, group string, from Position) (list []Record, gap bool, err error)
}

// Record is an event as a [Log] keeps it.
type Record struct {
	// At is the record's place.
	At Position
	// Body is what was appended. It must not be changed.
	Body []byte
}

// Later tells whether an epoch of a [Log] came after another. They are decimal numbers
// that grow; empty is before all.
func Later(epoch, than string) bool {
	a, err := strconv.ParseUint(epoch, 10, 64)
	b, _ := strconv.ParseUint(than, 10, 64) // one of a node's own is no number: 0
	return err == nil && a > b
}

// Bounds of what is numbered.
const (
	logPatience = 5 * time.Second // for the log's answer, by who joins
	logHold     = time.Second     // for the log's answer, by an event: then it goes out without number, as all that follow do until the log is back
	holeWait    = 3 * time.Second // for an event's predecessor of the same node
	mostAhead   = 1024            // events of a group that wait for one before them; more are read again
	mostParked  = 8192            // events of a group without number that wait; the oldest goes out for one more
	mostTails   = 100_000         // groups of which our newest event is known, or is to be named; all are forgotten for one more
	mostOrigins = 256             // servers of which a group knows the newest event; all are forgotten for one more
)

// Kinds of letters for what is numbered; the others are in cluster.go.
const (
	toNumbered byte = iota + 32 // Body begins with the position
	toLoose                     // what could not be numbered
	toTail                      // which event of the sender is its newest in the group
)
