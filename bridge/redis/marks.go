package redis

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/tacet-hub/tacet/bridge/replay"
	"github.com/tacet-hub/tacet/bridge/signalr"
)

// Marks remembers for all nodes where users and devices left groups, for 30 days. While the
// server is away each node knows its own. It is safe for concurrent use.
//
// What is on its way to the server waits in a queue of [marksQueue]; more is not shared,
// and counted.
type Marks struct {
	s     *Server
	own   *replay.Marks
	queue chan marked
	count struct{ shared, dropped, failed atomic.Uint64 }
}

// marksAge is for how long a mark is kept: longer than the events, so that who comes later
// is told of a gap.
const marksAge = 30 * 24 * time.Hour

// marksQueue is how many marks wait to be shared.
const marksQueue = 8192

type marked struct {
	key string
	at  signalr.Position
}

// NewMarks makes the marks of a server.
func NewMarks(s *Server) *Marks {
	return &Marks{s: s, own: replay.NewMarks(0), queue: make(chan marked, marksQueue)}
}

// MarkStats counts since the start.
type MarkStats struct {
	Shared  uint64 // marks that all nodes know
	Dropped uint64 // that found the queue full
	Failed  uint64 // that the server did not take
}

// Stats is a snapshot of the counters.
func (m *Marks) Stats() MarkStats {
	return MarkStats{Shared: m.count.shared.Load(), Dropped: m.count.dropped.Load(), Failed: m.count.failed.Load()}
}

func (m *Marks) key(who, group string) string {
	return m.s.cfg.Prefix + ":mark:" + strconv.Itoa(len(who)) + ":" + who + ":" + group
}

// Set remembers where somebody left a group. It does not block.
func (m *Marks) Set(who, group string, at signalr.Position) {
	m.own.Set(who, group, at)
	select {
	case m.queue <- marked{m.key(who, group), at}:
	default:
		m.count.dropped.Add(1)
	}
}

// Get answers where somebody left a group last, at whichever node; false where that is
// not known. What was set here counts also where the server has not taken it. It blocks
// for as long as the server may take.
func (m *Marks) Get(who, group string) (signalr.Position, bool) {
	own, known := m.own.Get(who, group)
	out, err := m.s.do(context.Background(), func(b rueidis.Builder) rueidis.Commands {
		return rueidis.Commands{b.Get().Key(m.key(who, group)).Build()}
	})
	if err == nil {
		if text, err := out[0].ToString(); err == nil {
			epoch, offset, _ := strings.Cut(text, " ")
			n, err := strconv.ParseUint(offset, 10, 64)
			if there := (signalr.Position{Epoch: epoch, Offset: n}); err == nil && (!known || !further(own, there)) {
				return there, true
			}
		}
	}
	return own, known
}

// further tells whether a position lies behind another.
func further(at, than signalr.Position) bool {
	return signalr.Later(at.Epoch, than.Epoch) || at.Epoch == than.Epoch && at.Offset > than.Offset
}

// Run shares marks until ctx ends, and then those that wait; it returns nil.
func (m *Marks) Run(ctx context.Context) error {
	whole := context.WithoutCancel(ctx)
	for {
		select {
		case <-ctx.Done():
			for len(m.queue) > 0 && m.share(whole, nil) {
			}
			return nil
		case one := <-m.queue:
			m.share(whole, []marked{one})
		}
	}
}

// share brings marks to the server, those that wait, too; false: it does not take them.
func (m *Marks) share(ctx context.Context, list []marked) bool {
	for len(m.queue) > 0 && len(list) < 1000 {
		list = append(list, <-m.queue)
	}
	_, err := m.s.do(ctx, func(b rueidis.Builder) (cmds rueidis.Commands) {
		for _, x := range list {
			cmds = append(cmds, b.Set().Key(x.key).Value(x.at.Epoch+" "+strconv.FormatUint(x.at.Offset, 10)).PxMilliseconds(marksAge.Milliseconds()).Build())
		}
		return cmds
	})
	if err != nil {
		m.count.failed.Add(uint64(len(list)))
		return false
	}
	m.count.shared.Add(uint64(len(list)))
	return true
}
