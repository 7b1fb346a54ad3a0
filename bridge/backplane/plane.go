package backplane

import (
	"context"
	"errors"
	"hash/fnv"
	"time"
)

// Partitions is how many channels there are for what is meant for no node in
// particular. It is part of the wire: all nodes of a hub have the same.
const Partitions = 64

// Inbox stands for a node's inbox where a partition is told.
const Inbox = -1

// Errors of [Plane.Run], [Plane.Publish] and [Plane.Send].
var (
	ErrFull     = errors.New("backplane: the queue is full")
	ErrTooLarge = errors.New("backplane: the envelope is too large")
	ErrNoNode   = errors.New("backplane: no such node")
	ErrTwice    = errors.New("backplane: another node has this name")
)

// Plane joins the nodes. All methods are safe for concurrent use; only Run blocks.
type Plane interface {
	// Run keeps the connection until ctx ends, then takes leave of the others and
	// returns nil. It is called once; before it nothing is heard.
	Run(ctx context.Context, h Handler) error
	// Self is the name of this node.
	Self() string
	// Publish queues e for every other node that listens to the partition, 0 to
	// Partitions-1. Over the bound of the queue it is refused with ErrFull, counted,
	// and told to the receivers as a gap.
	Publish(partition int, e Envelope) error
	// Send queues e for the inbox of one node, as Publish does. A node that is not
	// known, and this one itself, is ErrNoNode.
	Send(node string, e Envelope) error
	// Listen begins or ends listening to a partition. It is not counted: the last
	// call counts. What is published after the subscription stands is heard.
	Listen(partition int, on bool)
	// Listening is closed when a partition that was said to be listened to is: what
	// is published after that is heard, or told as missed. It is closed too when the
	// listening ends.
	Listening(partition int) <-chan struct{}
	// Nodes lists the nodes that are alive, this one included, by name.
	Nodes() []Node
	// Stats is a snapshot of the counters.
	Stats() Stats
}

// Node is one process of the hub.
type Node struct {
	Name  string    `json:"name"`
	Life  uint64    `json:"life"` // random, new with each start
	Since time.Time `json:"since"`
	Note  string    `json:"note"` // what the node tells of itself; the user's
}

// Handler is told what comes. Its methods are called one at a time, and must not
// block: they only enqueue.
type Handler interface {
	// Heard is one envelope of another node. It may be kept, and must not be
	// changed.
	Heard(e Envelope)
	// Missed tells that n envelopes of a node were lost on a partition, or in the
	// inbox ([Inbox]). n is 0 where nobody knows how many.
	Missed(origin string, partition int, n uint64)
	// Changed tells of each change of the nodes that are alive.
	Changed(nodes []Node)
	// Connected tells whether other nodes can be reached; it begins with false.
	Connected(up bool)
}

// Stats counts since the start.
type Stats struct {
	Published  uint64 // envelopes handed over
	Bytes      uint64 // of these
	Batches    uint64 // in so many
	Refused    uint64 // found the queue full
	Received   uint64 // envelopes of others
	Duplicates uint64 // came twice, ignored
	Malformed  uint64 // batches that could not be read
	Gaps       uint64 // holes in the numbers of an origin
	CaughtUp   uint64 // envelopes found again in the history
	Missed     uint64 // envelopes that were not
	Losses     uint64 // connections lost
	Connected  bool
	Nodes      int
}

// Partition is the channel on which everything about a target goes.
func Partition(target string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(target)) // never fails
	return int(h.Sum32() % Partitions)
}
