package window

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
)

// Kinds of the window's question and of its envelopes.
const (
	kindWatch = backplane.KindUser + 56
	kindEvent = backplane.KindUser + 57
)

// A watcher is shown events for watchTime after it has asked; so many may watch.
const (
	watchTime    = 5 * time.Second
	mostWatchers = 16
)

// Event is what a node tells the members of a group.
type Event struct {
	Group  string            `json:"group"`
	Name   string            `json:"event"`
	Latest bool              `json:"latest,omitempty"` // a newer one with the same key takes its place
	Key    string            `json:"key,omitempty"`
	Args   []json.RawMessage `json:"args"`
}

// Source shows what its node tells its own connections to those who watch it. Its
// methods are safe for concurrent use and do not block. The nil one shows nothing.
type Source struct {
	plane backplane.Plane
	now   func() time.Time
	any   atomic.Bool // somebody may be watching
	told  func(any bool)
	count struct{ shown, unshown, refused atomic.Uint64 }

	mu       sync.Mutex
	watchers map[string]time.Time // until when
}

// NewSource makes the source of a node, before its mux runs.
func NewSource(m *backplane.Mux, now func() time.Time) *Source {
	s := &Source{plane: m.Plane(), now: now, told: func(bool) {}, watchers: map[string]time.Time{}}
	m.OnAsk(kindWatch, s.watched)
	return s
}

// OnWatch has f told, before the mux runs, when somebody begins to watch and when nobody
// does any more, which is noticed with the next event. It must not block, nor call back.
func (s *Source) OnWatch(f func(any bool)) { s.told = f }

// watched notes that a node wants to be shown events.
func (s *Source) watched(_ context.Context, from string, _ []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.watchers[from]; !known && len(s.watchers) >= mostWatchers {
		s.count.refused.Add(1)
		return nil, errors.New("window: too many watch this node")
	}
	s.watchers[from] = s.now().Add(watchTime)
	s.note()
	return nil, nil
}

// Send shows an event.
func (s *Source) Send(group, event string, args ...any) {
	if s != nil && s.any.Load() {
		s.show(Event{Group: group, Name: event}, args)
	}
}

// SendLatest shows an event that a newer one of its key replaces.
func (s *Source) SendLatest(group, event, key string, args ...any) {
	if s != nil && s.any.Load() {
		s.show(Event{Group: group, Name: event, Latest: true, Key: key}, args)
	}
}

func (s *Source) show(e Event, args []any) {
	to := s.watching()
	if len(to) == 0 {
		return
	}
	e.Args = make([]json.RawMessage, len(args))
	for i, a := range args {
		b, err := json.Marshal(a)
		if err != nil {
			s.count.unshown.Add(1)
			return // nor could a connection be sent it
		}
		e.Args[i] = b
	}
	body, err := json.Marshal(e)
	if err != nil {
		s.count.unshown.Add(1)
		return
	}
	for _, node := range to {
		if err := s.plane.Send(node, backplane.Envelope{Kind: kindEvent, Body: body}); err != nil {
			s.count.unshown.Add(1)
			continue
		}
		s.count.shown.Add(1)
	}
}

// watching is who watches now.
func (s *Source) watching() (to []string) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for node, until := range s.watchers {
		if now.After(until) {
			delete(s.watchers, node)
			continue
		}
		to = append(to, node)
	}
	s.note()
	slices.Sort(to)
	return to
}

// note keeps, and tells, whether somebody watches. The lock is held.
func (s *Source) note() {
	if any := len(s.watchers) > 0; s.any.Swap(any) != any {
		s.told(any)
	}
}

// Stats counts since the start.
type Stats struct {
	Watchers int    // now
	Shown    uint64 // events, for each watcher
	Unshown  uint64 // of them, that could not be sent
	Refused  uint64 // watchers over the bound
}

// Stats is a snapshot of the counters.
func (s *Source) Stats() Stats {
	s.mu.Lock()
	n := len(s.watchers)
	s.mu.Unlock()
	return Stats{Watchers: n, Shown: s.count.shown.Load(), Unshown: s.count.unshown.Load(), Refused: s.count.refused.Load()}
}
