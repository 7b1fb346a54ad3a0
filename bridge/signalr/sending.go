package signalr

import (
	"encoding/json"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// scribe is what a server has of its log.
type scribe struct {
	log  Log
	last atomic.Uint64 // id of the newest event of ours
	away atomic.Bool
	wake chan struct{}

	mu    sync.Mutex
	needs map[string]struct{} // groups whose position, or some event, is to be read
	lines map[string]*sending // groups to which something is being sent
}

// sending is what is on its way to a group: the log is asked for places, and, once it is
// away, what follows waits behind that.
type sending struct {
	asked int
	loose []func()
}

// wait takes an event that goes out without number, behind what was sent before; false:
// the log is to be asked, and done called then.
func (w *scribe) wait(group string, send func()) bool {
	w.mu.Lock()
	l := w.lines[group]
	if l == nil {
		l = &sending{}
		w.lines[group] = l
	}
	l.asked++
	if !w.away.Load() && len(l.loose) == 0 {
		w.mu.Unlock()
		return false
	}
	l.loose = append(l.loose, send)
	alone := l.asked == 1
	w.mu.Unlock()
	if alone {
		w.flush(group, l)
	}
	return true
}

// done says that the log has answered.
func (w *scribe) done(group string) {
	w.mu.Lock()
	l := w.lines[group]
	l.asked--
	rest := l.asked > 0 && l.asked == len(l.loose)
	if l.asked == 0 {
		delete(w.lines, group)
	}
	w.mu.Unlock()
	if rest {
		w.flush(group, l)
	}
}

// flush sends what has waited, until nothing does. Who comes meanwhile waits behind it.
func (w *scribe) flush(group string, l *sending) {
	for {
		w.mu.Lock()
		if len(l.loose) == 0 {
			if l.asked == 0 {
				delete(w.lines, group)
			}
			w.mu.Unlock()
			return
		}
		send := l.loose[0]
		w.mu.Unlock()
		send()
		w.mu.Lock()
		l.loose = l.loose[1:]
		l.asked--
		w.mu.Unlock()
	}
}

func newScribe(l Log) *scribe {
	w := &scribe{log: l, wake: make(chan struct{}, 1), needs: map[string]struct{}{}, lines: map[string]*sending{}}
	w.last.Store(uint64(time.Now().UnixNano()) << 8) // no id of another node, or life, is near
	return w
}

// need has a group looked after.
func (w *scribe) need(group string) {
	w.mu.Lock()
	w.needs[group] = struct{}{}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *scribe) take() (groups []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for g := range w.needs {
		groups = append(groups, g)
	}
	clear(w.needs)
	return groups
}

// numbers tells whether the events of a group are numbered by the log.
func (s *Server) numbers(group string) bool {
	return s.scribe != nil && group != "" && s.scribe.log.Numbers(group)
}

// sendNumbered sends an event to those groups of the target that the log numbers, and
// answers for how many members of this server, and what is left of the target; nil:
// nothing. Who is in several groups gets it by the first of them.
func (t Target) sendNumbered(e *event) (n int, rest *Target) {
	switch {
	case t.many == nil && t.client == "" && !t.all && t.s.numbers(t.group):
		return t.s.sendNumbered(t.group, e, t.except, nil), nil
	case t.many == nil || !slices.ContainsFunc(t.many.groups, t.s.numbers):
		return 0, &t
	}
	left := *t.many
	left.groups = nil
	var numbered []string
	for _, g := range t.many.groups {
		if t.s.numbers(g) {
			numbered = append(numbered, g)
		} else {
			left.groups = append(left.groups, g)
		}
	}
	not := slices.Clone(left.groups)
	for _, g := range numbered {
		n += t.s.sendNumbered(g, e, t.except, slices.Clone(not))
		not = append(not, g)
	}
	if len(left.groups)+len(left.clients)+len(left.tags) == 0 {
		return n, nil
	}
	t.many = &left
	return n, &t
}

// sendNumbered sends an event to a numbered group, and answers for how many members of
// this server. not are groups whose members have it already.
func (s *Server) sendNumbered(group string, e *event, except, not []string) int {
	if err := e.prepare(1<<dialects - 1); err != nil {
		s.log.Error("event cannot be encoded", "group", group, "err", err)
	}
	a := &arrival{head: recordHead{ID: s.scribe.last.Add(1), Except: except, Not: not}, e: e}
	b, err := a.record()
	if err != nil {
		return 0 // it was logged
	}
	n := 0
	for _, c := range s.Members(group) {
		if !slices.Contains(except, c.id) {
			n++
		}
	}
	if s.scribe.wait(group, func() { s.sendLoose(group, a, b) }) {
		return n
	}
	s.scribe.log.Append(group, b, func(at Position, err error) {
		defer s.scribe.done(group)
		if err != nil {
			s.scribe.lost(s, err)
			s.sendLoose(group, a, b)
			return
		}
		head, _ := json.Marshal(at) // plain fields
		if s.cfg.Cluster != nil && s.cfg.Cluster.Publish(groupTopic(group), Letter{Kind: toNumbered, Target: group, Body: append(append(head, '\n'), b...)}) != nil {
			s.count.unspread.Add(1) // the next one shows it
		}
		s.placed(group, at, a)
	})
	return n
}

// lost notes that the log is away.
func (w *scribe) lost(s *Server, err error) {
	if !w.away.Swap(true) {
		s.log.Warn("log of groups is away", "err", err)
	}
}

// sendLoose sends an event without number, to our own members and by the cluster.
func (s *Server) sendLoose(group string, a *arrival, record []byte) {
	if s.cfg.Cluster != nil && s.cfg.Cluster.Publish(groupTopic(group), Letter{Kind: toLoose, Target: group, Body: record}) != nil {
		s.count.unspread.Add(1)
	}
	s.arrivedLoose(group, a)
}
