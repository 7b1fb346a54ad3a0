package replay

import (
	"container/list"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
)

// Config bounds a memory. Zero values mean the defaults.
type Config struct {
	Age        time.Duration // how long an event is kept; default 24 h
	Events     int           // most events of one group; default 1,000
	GroupBytes int           // most bytes of them; default 256 KiB
	Bytes      int           // most bytes over all groups; default 32 MiB
	Groups     int           // most groups; default 10,000
	// Wants tells whether an event of a group is kept; nil: all are. It must be
	// quick and safe for concurrent use.
	Wants func(group, event string) bool
}

// Validate reports what is wrong with c.
func (c Config) Validate() error {
	if c.Age < 0 || c.Events < 0 || c.GroupBytes < 0 || c.Bytes < 0 || c.Groups < 0 {
		return errors.New("replay: a bound is negative")
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.Age == 0 {
		c.Age = 24 * time.Hour
	}
	for p, v := range map[*int]int{&c.Events: 1000, &c.GroupBytes: 256 << 10, &c.Bytes: 32 << 20, &c.Groups: 10_000} {
		if *p == 0 {
			*p = v
		}
	}
	if c.Wants == nil {
		c.Wants = func(string, string) bool { return true }
	}
	return c
}

// cost is what an event takes beside its name and arguments, which lie in the
// frame in which it was sent.
const cost = 160

// Memory keeps events in memory. Over a bound the oldest event goes: of its
// group, or, over Bytes and Groups, of the group that has been silent longest. It
// is counted. It is safe for concurrent use.
type Memory struct {
	cfg Config
	now func() time.Time

	mu      sync.Mutex // guards what follows
	groups  map[string]*list.Element
	order   *list.List // of *history; the group that had an event last in front
	bytes   int
	forgot  bool // a whole group was
	events  int
	dropped uint64
	gaps    uint64
}

var _ signalr.History = (*Memory)(nil)

// history is what is kept of one group.
type history struct {
	group  string
	epoch  string
	lost   uint64 // offset of the newest wanted event that is kept no more
	bytes  int
	events []entry
}

type entry struct {
	at time.Time
	signalr.Past
}

func (e entry) size() int { return len(e.Event) + len(e.Args) + cost }

// New makes an empty memory.
func New(cfg Config, now func() time.Time) (*Memory, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Memory{cfg: cfg.withDefaults(), now: now, groups: map[string]*list.Element{}, order: list.New()}, nil
}

// Wants tells whether an event is kept.
func (m *Memory) Wants(group, event string) bool { return m.cfg.Wants(group, event) }

// Keep keeps an event, behind those that the group has. It does not block.
func (m *Memory) Keep(group string, p signalr.Past) {
	now := m.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.of(group, p.At.Epoch)
	e := entry{now, p}
	h.events = append(h.events, e)
	h.bytes += e.size()
	m.bytes += e.size()
	m.events++
	m.expire(h, now)
	for len(h.events) > m.cfg.Events || h.bytes > m.cfg.GroupBytes {
		m.drop(h)
	}
	for m.bytes > m.cfg.Bytes || m.order.Len() > m.cfg.Groups {
		m.shrink()
	}
}

// of finds or makes the history of a group, which has an event now.
func (m *Memory) of(group, epoch string) *history {
	if e := m.groups[group]; e != nil {
		h := e.Value.(*history)
		if h.epoch == epoch {
			m.order.MoveToFront(e)
			return h
		}
		m.remove(e)
	}
	h := &history{group: group, epoch: epoch}
	m.groups[group] = m.order.PushFront(h)
	return h
}

// remove forgets a group.
func (m *Memory) remove(e *list.Element) {
	h := m.order.Remove(e).(*history)
	delete(m.groups, h.group)
	m.bytes -= h.bytes
	m.events -= len(h.events)
}

// drop forgets the oldest event of a group.
func (m *Memory) drop(h *history) {
	e := h.events[0]
	h.events[0] = entry{}
	h.events = h.events[1:]
	h.lost = e.At.Offset
	h.bytes -= e.size()
	m.bytes -= e.size()
	m.events--
	m.dropped++
}

// shrink makes room at the cost of the group that has been silent longest.
func (m *Memory) shrink() {
	oldest := m.order.Back()
	if h := oldest.Value.(*history); len(h.events) > 0 && m.order.Len() <= m.cfg.Groups {
		m.drop(h)
		if len(h.events) > 0 {
			return
		}
	}
	m.forgot = true
	m.remove(oldest)
}

func (m *Memory) expire(h *history, now time.Time) {
	for len(h.events) > 0 && now.Sub(h.events[0].at) > m.cfg.Age {
		m.drop(h)
	}
}

// find is the history of a group in an epoch, without what is too old; nil where
// there is none.
func (m *Memory) find(group, epoch string) *history {
	e := m.groups[group]
	if e == nil || e.Value.(*history).epoch != epoch {
		return nil
	}
	h := e.Value.(*history)
	m.expire(h, m.now())
	return h
}

// Since lists what is kept behind from and up to to, oldest first; gap says that
// some of it is gone.
func (m *Memory) Since(group string, from, to signalr.Position) (out []signalr.Past, gap bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer func() {
		if gap {
			m.gaps++
		}
	}()
	if from.Epoch != to.Epoch {
		return nil, true
	}
	h := m.find(group, to.Epoch)
	if h == nil {
		return nil, m.forgot && from.Offset < to.Offset
	}
	for _, e := range h.events {
		if e.At.Offset > from.Offset && e.At.Offset <= to.Offset {
			out = append(out, e.Past)
		}
	}
	return out, from.Offset < h.lost
}

// Before answers where a group stood at an instant: the position behind which
// everything lies that came later. Where it is not known which events came later,
// the position lies in front of those that are gone, so that Since tells of a
// gap. ok is false where nothing that is kept came later.
func (m *Memory) Before(group, epoch string, t time.Time) (at signalr.Position, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.find(group, epoch)
	if h == nil {
		return at, false
	}
	i := slices.IndexFunc(h.events, func(e entry) bool { return e.at.After(t) })
	switch {
	case i < 0:
		return at, false
	case i == 0 && h.lost > 0:
		return signalr.Position{Epoch: epoch, Offset: h.lost - 1}, true
	}
	return signalr.Position{Epoch: epoch, Offset: h.events[i].At.Offset - 1}, true
}

// Stats counts. Those without "now" only grow.
type Stats struct {
	Events  int    // kept now
	Bytes   int    // of them now
	Groups  int    // of which something is kept now
	Dropped uint64 // events that became too old, or had to make room
	Gaps    uint64 // answers that told of a gap
}

// Stats counts.
func (m *Memory) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Stats{Events: m.events, Bytes: m.bytes, Groups: m.order.Len(), Dropped: m.dropped, Gaps: m.gaps}
}
