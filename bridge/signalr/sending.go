package signalr

import (
	"encoding/json"
	"slices"
	"sync"
	"time"
)

// lane is what is on its way to a group: the log is asked for places, and everything goes
// out in the order in which it was sent, numbered or not.
type lane struct {
	ask sync.Mutex // held from an event's id until the log is asked

	// What follows is guarded by the scribe.
	queue    []*posting
	senders  int
	draining bool
}

// posting is an event that goes to a group.
type posting struct {
	a      *arrival
	record []byte
	since  time.Time
	ready  bool // the log has answered, or nobody waits for it any more
	at     Position
	err    error
}

// lane finds the lane of a group for a sender; [scribe.rest] lets it go.
func (w *scribe) lane(group string) *lane {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.lanes[group]
	if l == nil {
		l = &lane{}
		w.lanes[group] = l
	}
	l.senders++
	return l
}

// rest forgets a lane that has nothing more. The scribe is locked.
func (w *scribe) rest(group string, l *lane) {
	if l.senders == 0 && len(l.queue) == 0 && !l.draining {
		delete(w.lanes, group)
	}
}

// name gives an event its id, and that of the one before it. The lane is being asked for.
func (w *scribe) name(group string, h *recordHead) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.tails) >= mostTails {
		clear(w.tails)
	}
	h.From, h.ID, h.Prev = w.id, w.last.Add(1), w.tails[group]
	w.tails[group] = h.ID
}

// put puts an event into its lane; false: the log is away and need not be asked.
func (w *scribe) put(l *lane, p *posting) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	l.queue = append(l.queue, p)
	if w.away.Load() {
		p.ready, p.err = true, errLog
	}
	return !p.ready
}

// answered notes what the log answered; what was sent without it meanwhile stays so.
func (w *scribe) answered(p *posting, at Position, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !p.ready {
		p.ready, p.at, p.err = true, at, err
	}
}

// letOut sends what is ready at the head of a lane. One does it at a time; who comes
// meanwhile leaves it to that.
func (s *Server) letOut(group string, l *lane) {
	w := s.scribe
	w.mu.Lock()
	defer w.mu.Unlock()
	if l.draining {
		return
	}
	l.draining = true
	for len(l.queue) > 0 && l.queue[0].ready {
		p := l.queue[0]
		l.queue = l.queue[1:]
		w.mu.Unlock()
		s.goesOut(group, p)
		w.mu.Lock()
	}
	l.draining = false
	w.rest(group, l)
}

// goesOut sends an event to our own members and to the other nodes.
func (s *Server) goesOut(group string, p *posting) {
	if p.err == nil && s.heldBefore(group, p.at, p.a) {
		p.err = errSetBack
	}
	if p.err != nil {
		s.scribe.owes(group)
		s.scribe.lost(s, p.err)
		s.publish(group, Letter{Kind: toLoose, Target: group, Body: p.record})
		s.arrivedLoose(group, p.a)
		return
	}
	head, _ := json.Marshal(p.at) // plain fields
	s.publish(group, Letter{Kind: toNumbered, Target: group, Body: append(append(head, '\n'), p.record...)})
	s.placed(group, p.at, p.a)
}

func (s *Server) publish(group string, l Letter) {
	if s.cfg.Cluster.Publish(groupTopic(group), l) != nil {
		s.count.unspread.Add(1) // of a numbered one the next shows it
	}
}

// hurry goes on without the log where it has not answered for logHold.
func (s *Server) hurry(now time.Time) {
	w := s.scribe
	late := map[string]*lane{}
	w.mu.Lock()
	for group, l := range w.lanes {
		if len(l.queue) > 0 && !l.queue[0].ready && now.Sub(l.queue[0].since) >= logHold {
			late[group] = l
			for _, p := range l.queue {
				if !p.ready {
					p.ready, p.err = true, errLog
				}
			}
		}
	}
	w.mu.Unlock()
	for group, l := range late {
		s.letOut(group, l)
	}
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
func (s *Server) sendNumbered(group string, e *event, except, not []string) (n int) {
	if err := e.prepare(1<<dialects - 1); err != nil {
		s.log.Error("event cannot be encoded", "group", group, "err", err)
	}
	wire, err := e.wire()
	if err != nil {
		return 0 // it was logged
	}
	for _, c := range s.Members(group) {
		if !slices.Contains(except, c.id) {
			n++
		}
	}
	w := s.scribe
	l := w.lane(group)
	s.enqueue(group, l, &arrival{head: recordHead{Except: except, Not: not}, e: e.apart()}, wire)
	w.mu.Lock()
	l.senders--
	w.rest(group, l)
	w.mu.Unlock()
	return n
}

// enqueue has an event go out behind those before it.
func (s *Server) enqueue(group string, l *lane, a *arrival, wire []byte) {
	w := s.scribe
	l.ask.Lock()
	defer l.ask.Unlock()
	w.name(group, &a.head)
	p := &posting{a: a, record: a.record(wire), since: time.Now()}
	if !w.put(l, p) {
		s.letOut(group, l)
		return
	}
	w.log.Append(group, p.record, func(at Position, err error) {
		w.answered(p, at, err)
		s.letOut(group, l)
	})
}
