package redis

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
)

// Bounds of what is kept of groups.
const (
	logAge    = 24 * time.Hour
	logRenew  = 10 * time.Minute // how often a node puts the end of what it appends to off
	logLife   = logAge + logRenew
	logEvents = 1000      // of one group, about
	logFewest = 100       // however long they are
	logBytes  = 256 << 10 // of one group, about: longer events are fewer
	logBatch  = 256       // appends in one pipeline
	logTrim   = 16        // appends of a node to a group between two times that it bounds that
	logTries  = 4         // of one append, while groups lose their epochs
	logGroups = 100_000   // groups of which a part knows how it has bounded them; all are forgotten for one more
)

// Log numbers the events of groups: it is a signalr.Log. A group is a list of its newest
// events, the number of the last one, and the epoch in which the numbers count, which is
// the millisecond in which it began; all three have one hash tag. An event comes into
// the list, and the number grows, in one transaction, which also tells the epoch. An
// epoch begins with a mark at offset 0; where one of the three is not there any more
// another begins. That which is over goes aside for an hour. Events are kept for a day and within bounds.
//
// What is appended waits in a queue of at most [Config.Queue] bytes; more is refused
// with [ErrLog], and counted. One goroutine takes all that is there and sends it as one
// pipeline, or to a cluster one for each part of the groups.
type Log struct {
	s       *Server
	numbers func(group string) bool
	wake    chan struct{}
	count   struct{ appended, refused, failed, epochs atomic.Uint64 }

	mu    sync.Mutex
	queue []appending
	bytes int

	parts [logParts]logPart
}

type appending struct {
	group  string
	record []byte
	placed func(signalr.Position, error)
}

// ErrLog is the error of what the log's queue does not take.
var ErrLog = errors.New("redis: the queue of the log is full")

var _ signalr.Log = (*Log)(nil)

// NewLog makes the log of a server. numbers tells which groups it numbers; it must be
// quick and safe for concurrent use.
func NewLog(s *Server, numbers func(group string) bool) *Log {
	l := &Log{s: s, numbers: numbers, wake: make(chan struct{}, 1)}
	for i := range l.parts {
		l.parts[i] = logPart{line: line{s: s}, kept: map[string]*bounding{}}
	}
	return l
}

// LogStats counts since the start.
type LogStats struct {
	Appended uint64 // events that have their number
	Refused  uint64 // that found the queue full
	Failed   uint64 // of which nobody knows
	Epochs   uint64 // begun here
}

// Stats is a snapshot of the counters.
func (l *Log) Stats() LogStats {
	return LogStats{Appended: l.count.appended.Load(), Refused: l.count.refused.Load(), Failed: l.count.failed.Load(), Epochs: l.count.epochs.Load()}
}

// Numbers implements signalr.Log.
func (l *Log) Numbers(group string) bool { return l.numbers(group) }

// Append implements signalr.Log.
func (l *Log) Append(group string, record []byte, placed func(signalr.Position, error)) {
	l.mu.Lock()
	full := l.bytes+len(record) > l.s.cfg.Queue
	if !full {
		l.bytes += len(record)
		l.queue = append(l.queue, appending{group, record, placed})
	}
	l.mu.Unlock()
	if full {
		l.count.refused.Add(1)
		placed(signalr.Position{}, ErrLog)
		return
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Run appends what is queued until ctx ends; it returns nil.
func (l *Log) Run(ctx context.Context) error {
	defer l.hangUp()
	for {
		select {
		case <-ctx.Done():
			l.end()
			return nil
		case <-l.wake:
		}
		l.mu.Lock()
		list := l.queue
		l.queue, l.bytes = nil, 0
		l.mu.Unlock()
		for len(list) > 0 {
			n := min(len(list), logBatch)
			l.append(ctx, list[:n])
			list = list[n:]
		}
	}
}

// end fails what is queued.
func (l *Log) end() {
	l.mu.Lock()
	list := l.queue
	l.queue, l.bytes = nil, 0
	l.mu.Unlock()
	l.fail(list, context.Canceled)
}

func (l *Log) fail(list []appending, err error) {
	for _, a := range list {
		l.count.failed.Add(1)
		a.placed(signalr.Position{}, err)
	}
}

func (l *Log) hangUp() {
	for i := range l.parts {
		l.parts[i].close()
	}
}
