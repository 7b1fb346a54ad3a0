package redis

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/tacet-hub/tacet/bridge/signalr"
)

// Bounds of what is kept of groups.
const (
	logAge    = 24 * time.Hour
	logEvents = 1000      // of one group, about
	logFewest = 100       // however long they are
	logBytes  = 256 << 10 // of one group, about: longer events are fewer
	logBatch  = 256       // appends in one pipeline
	logTrim   = 16        // appends between two looks at how many there are: not every server can bound a stream by what is added
	logTries  = 4         // of one append, while others begin epochs
	logGroups = 100_000   // epochs that are remembered; all are forgotten for one more
)

// Log numbers the events of groups in streams, one for each group: it is a signalr.Log.
// An entry's id is the epoch, the millisecond in which it began, and the offset, which
// the server counts on. An epoch begins with a mark at offset 0; a stream that is not
// there any more gets another epoch. Entries are kept for a day and within bounds.
//
// What is appended waits in a queue of at most [Config.Queue] bytes; more is refused
// with ErrFull, and counted. One goroutine takes all that is there and sends it as one
// pipeline.
type Log struct {
	s       *Server
	numbers func(group string) bool
	wake    chan struct{}
	count   struct{ appended, refused, failed, epochs atomic.Uint64 }

	mu    sync.Mutex
	queue []appending
	bytes int

	epochs map[string]*epoch // Run's own
}

// epoch is what is known of a group's stream.
type epoch struct {
	name  string
	mean  int // bytes of an event
	added int // by this node
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
	return &Log{s: s, numbers: numbers, wake: make(chan struct{}, 1), epochs: map[string]*epoch{}}
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

func (l *Log) key(group string) string { return l.s.cfg.Prefix + ":group:" + group }

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

// append puts a batch into the streams. What finds its epoch over is tried again in the
// newer one, behind what has come before it.
func (l *Log) append(ctx context.Context, list []appending) {
	var err error
	for range logTries {
		if len(list) == 0 {
			return
		}
		if err = l.know(ctx, list); err != nil {
			break
		}
		if list, err = l.try(ctx, list); err != nil {
			break
		}
	}
	if err == nil {
		err = errors.New("redis: the epochs of a group do not rest")
	}
	l.fail(list, err)
}

// know reads the epochs that are needed and not known.
func (l *Log) know(ctx context.Context, list []appending) error {
	var groups []string
	if len(l.epochs) > logGroups {
		clear(l.epochs)
	}
	asked := map[string]bool{}
	for _, a := range list {
		if l.epochs[a.group] == nil && !asked[a.group] {
			asked[a.group] = true
			groups = append(groups, a.group)
		}
	}
	if len(groups) == 0 {
		return nil
	}
	at, err := l.Open(ctx, groups, make([]string, len(groups)))
	if err != nil {
		return err
	}
	for i, g := range groups {
		l.epochs[g] = &epoch{name: at[i].Epoch, mean: 256}
	}
	return nil
}

// try sends a batch once, and answers what has to be tried again.
func (l *Log) try(ctx context.Context, list []appending) (again []appending, err error) {
	now := strconv.FormatInt(time.Now().UnixMilli(), 10)
	c, err := l.s.connected()
	if err != nil {
		return list, err
	}
	cmds := make(rueidis.Commands, 0, 2*len(list))
	for _, a := range list {
		e, key := l.epochs[a.group], l.key(a.group)
		e.mean += (len(a.record) - e.mean) / 16
		cmds = append(cmds, c.B().Xadd().Key(key).Nomkstream().Id(e.name+"-*").FieldValue().FieldValue("t", now).FieldValue("b", rueidis.BinaryString(a.record)).Build())
		if e.added++; e.added%logTrim != 0 {
			cmds = append(cmds, c.B().Pexpire().Key(key).Milliseconds(logAge.Milliseconds()).Build())
			continue
		}
		most := max(logFewest, min(logEvents, logBytes/max(e.mean, 1)))
		cmds = append(cmds, c.B().Xtrim().Key(key).Maxlen().Almost().Threshold(strconv.Itoa(most)).Build())
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	over := map[string]bool{}
	for i, r := range c.DoMulti(ctx, cmds...) {
		if i%2 == 1 {
			continue
		}
		a := list[i/2]
		id, err := r.ToString()
		switch {
		case err == nil && !over[a.group]:
			l.count.appended.Add(1)
			a.placed(placeOf(id), nil)
		case rueidis.IsRedisNil(err), err != nil && strings.Contains(err.Error(), "equal or smaller"):
			over[a.group] = true
			again = append(again, a)
		default:
			l.count.failed.Add(1)
			a.placed(signalr.Position{}, errors.Join(err, errOver(over[a.group])))
		}
	}
	for g := range over {
		delete(l.epochs, g)
	}
	return again, nil
}

// errOver is for what has found a place before one that came earlier: it may be there.
func errOver(over bool) error {
	if over {
		return errors.New("redis: an epoch began between two events")
	}
	return nil
}

// placeOf is the position of an entry's id.
func placeOf(id string) signalr.Position {
	epoch, offset, _ := strings.Cut(id, "-")
	n, _ := strconv.ParseUint(offset, 10, 64) // of the server
	return signalr.Position{Epoch: epoch, Offset: n}
}

// Open implements signalr.Log.
func (l *Log) Open(ctx context.Context, groups, behind []string) ([]signalr.Position, error) {
	at, err := l.tails(ctx, groups)
	if err != nil {
		return nil, err
	}
	if len(groups) == 0 { // only whether the server is there
		_, err := l.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
			return rueidis.Commands{b.Exists().Key(l.s.cfg.nodesKey()).Build()}
		})
		return nil, err
	}
	var marks rueidis.Commands
	c, err := l.s.connected()
	if err != nil {
		return nil, err
	}
	for i, g := range groups {
		if at[i].Epoch != "" && (behind[i] == "" || signalr.Later(at[i].Epoch, behind[i])) {
			continue
		}
		next := uint64(time.Now().UnixMilli())
		for _, text := range []string{at[i].Epoch, behind[i]} {
			if n, err := strconv.ParseUint(text, 10, 64); err == nil {
				next = max(next, n+1)
			}
		}
		marks = append(marks, c.B().Xadd().Key(l.key(g)).Id(strconv.FormatUint(next, 10)+"-0").FieldValue().FieldValue("mark", l.s.cfg.Node).Build())
	}
	if len(marks) == 0 {
		return at, nil
	}
	l.count.epochs.Add(uint64(len(marks)))
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	for _, r := range c.DoMulti(ctx, marks...) {
		if err := r.NonRedisError(); err != nil {
			return nil, err
		}
		if err := r.Error(); err != nil && !strings.Contains(err.Error(), "equal or smaller") { // another node was quicker
			return nil, err
		}
	}
	return l.tails(ctx, groups)
}

// tails reads the newest entry of groups, and puts the end of their streams off.
func (l *Log) tails(ctx context.Context, groups []string) ([]signalr.Position, error) {
	if len(groups) == 0 {
		return nil, nil
	}
	out, err := l.s.do(ctx, func(b rueidis.Builder) (list rueidis.Commands) {
		for _, g := range groups {
			list = append(list, b.Xrevrange().Key(l.key(g)).End("+").Start("-").Count(1).Build(), b.Pexpire().Key(l.key(g)).Milliseconds(logAge.Milliseconds()).Build())
		}
		return list
	})
	if err != nil {
		return nil, err
	}
	at := make([]signalr.Position, len(groups))
	for i := range groups {
		entries, err := out[2*i].AsXRange()
		if err != nil && !rueidis.IsRedisNil(err) {
			return nil, err
		}
		if len(entries) > 0 {
			at[i] = placeOf(entries[0].ID)
		}
	}
	return at, nil
}

// Since implements signalr.Log.
func (l *Log) Since(ctx context.Context, group string, from signalr.Position) (list []signalr.Record, gap bool, err error) {
	if _, err := strconv.ParseUint(from.Epoch, 10, 64); err != nil {
		return nil, true, nil
	}
	key := l.key(group)
	out, err := l.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{b.Xrevrange().Key(key).End("+").Start("-").Count(1).Build(),
			b.Xrange().Key(key).Start(from.Epoch + "-" + strconv.FormatUint(from.Offset+1, 10)).End(from.Epoch + "-18446744073709551615").Build()}
	})
	if err != nil {
		return nil, false, err
	}
	var entries [2][]rueidis.XRangeEntry
	for i, r := range out {
		if entries[i], err = r.AsXRange(); err != nil && !rueidis.IsRedisNil(err) {
			return nil, false, err
		}
	}
	if len(entries[0]) == 0 {
		return nil, true, nil
	}
	tail := placeOf(entries[0][0].ID)
	gap = tail.Epoch != from.Epoch || tail.Offset < from.Offset
	oldest := time.Now().Add(-logAge).UnixMilli()
	next := from.Offset + 1
	for _, x := range entries[1] {
		at := placeOf(x.ID)
		if t, err := strconv.ParseInt(x.FieldValues["t"], 10, 64); err != nil || t < oldest {
			continue
		}
		gap = gap || at.Offset != next
		next = at.Offset + 1
		list = append(list, signalr.Record{At: at, Body: []byte(x.FieldValues["b"])})
	}
	return list, gap || tail.Epoch == from.Epoch && next <= tail.Offset && len(list) == 0, nil
}

// Before answers where a group stood at an instant: the position behind which everything
// lies that came later. Of what is gone it lies in front of the oldest that is kept.
// false is that the group has no epoch, or the server is away.
func (l *Log) Before(ctx context.Context, group string, t time.Time) (at signalr.Position, ok bool) {
	out, err := l.s.do(ctx, func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{b.Xrange().Key(l.key(group)).Start("-").End("+").Build()}
	})
	if err != nil {
		return at, false
	}
	entries, err := out[0].AsXRange()
	if err != nil || len(entries) == 0 {
		return at, false
	}
	tail := placeOf(entries[len(entries)-1].ID)
	for _, x := range entries {
		p := placeOf(x.ID)
		ms, err := strconv.ParseInt(x.FieldValues["t"], 10, 64)
		if p.Epoch == tail.Epoch && p.Offset > 0 && err == nil && ms > t.UnixMilli() {
			return signalr.Position{Epoch: p.Epoch, Offset: p.Offset - 1}, true
		}
	}
	return tail, true
}
