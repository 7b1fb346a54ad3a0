package signalr

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// scribe is what a server has of its log.
type scribe struct {
	log  Log
	id   string        // of this server, new with each life
	last atomic.Uint64 // id of the newest event of ours
	away atomic.Bool
	wake chan struct{}

	mu    sync.Mutex
	needs map[string]struct{} // groups whose position, or some event, is to be read
	stuck map[string]struct{} // groups in which an event waits for one before it
	lanes map[string]*lane    // groups to which something is being sent
	tails map[string]uint64   // by group, our newest event
	owing map[string]int      // groups to which something went without number, and how often our newest is to be named there
}

func newScribe(l Log) *scribe {
	return &scribe{log: l, id: newID(), wake: make(chan struct{}, 1), needs: map[string]struct{}{},
		stuck: map[string]struct{}{}, lanes: map[string]*lane{}, tails: map[string]uint64{}, owing: map[string]int{}}
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

// lost notes that the log is away.
func (w *scribe) lost(s *Server, err error) {
	if !w.away.Swap(true) {
		s.log.Warn("log of groups is away", "err", err)
	}
}

// push sees to it that nobody waits for the log, or for an event that does not come, for
// longer than it may, until ctx ends.
func (w *scribe) push(ctx context.Context, s *Server) {
	tick := time.NewTicker(logHold / 10)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s.hurry(now)
		}
		w.mu.Lock()
		stuck := w.stuck
		w.stuck = map[string]struct{}{}
		w.mu.Unlock()
		for name := range stuck {
			if g := s.rooms.find(name); g != nil && g.num != nil {
				g.order.Lock()
				s.settle(g)
				g.order.Unlock()
			}
		}
	}
}

// Times of looking after numbered groups.
const (
	logLook  = time.Second      // between two looks at the log while it is away, or for groups that have just been woken
	logFresh = 5 * time.Second  // for so long is a group just woken: what was sent before this node heard of it may be missing
	logCheck = 10 * time.Second // between two looks at where all groups stand
)

// write looks after the numbered groups of this server until ctx ends: it reads where
// they stand, and what is missing.
func (w *scribe) write(ctx context.Context, s *Server) {
	tick := time.NewTicker(logLook)
	defer tick.Stop()
	last := time.Now()
	for {
		var groups []string
		var all bool
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
			groups = w.take()
		case now := <-tick.C:
			all = w.away.Load() || now.Sub(last) >= logCheck
			if all {
				last = now
			}
			groups = append(w.take(), s.rooms.numbered(all)...)
		}
		for len(groups) > 0 && ctx.Err() == nil {
			n := min(len(groups), 500)
			w.look(ctx, s, groups[:n])
			groups = groups[n:]
		}
		if w.away.Load() && len(groups) == 0 {
			w.look(ctx, s, nil)
		}
		if all {
			w.sayTails(s)
		}
	}
}

// look reads where groups stand.
func (w *scribe) look(ctx context.Context, s *Server, groups []string) {
	behind, stood := make([]string, len(groups)), make([]Position, len(groups))
	for i, name := range groups {
		if g := s.rooms.find(name); g != nil && g.num != nil {
			g.order.Lock()
			if stood[i] = g.pos; g.num.loose.Load() {
				behind[i] = g.num.was
			}
			g.order.Unlock()
		}
	}
	at, err := w.log.Open(ctx, groups, behind)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		w.lost(s, err)
		for _, name := range groups {
			w.giveUp(s, name)
		}
		return
	}
	if w.away.Swap(false) {
		s.log.Info("log of groups is back")
		s.rooms.forgetNumbered()
		for _, name := range s.rooms.numbered(true) {
			w.need(name)
		}
	}
	for i, name := range groups {
		if at[i].Epoch == stood[i].Epoch && at[i].Offset < stood[i].Offset {
			s.setBack(name, at[i])
			continue
		}
		w.stands(ctx, s, name, at[i])
	}
}

// giveUp goes on without the log, where somebody waits for it.
func (w *scribe) giveUp(s *Server, name string) {
	g := s.rooms.find(name)
	if g == nil || g.num == nil {
		return
	}
	g.order.Lock()
	defer g.order.Unlock()
	if !g.num.ready.Load() {
		s.goLoose(g)
	}
	s.settle(g)
}

// stands notes where a group stands in the log, and reads what is missing here. One that
// is woken begins there; one that went on alone is given what the others have had since.
func (w *scribe) stands(ctx context.Context, s *Server, name string, at Position) {
	g := s.rooms.find(name)
	if g == nil || g.num == nil {
		return
	}
	w.finish(ctx, s, g, at)
	g.order.Lock()
	n := g.num
	switch {
	case n.ready.Load() && n.epoch == at.Epoch:
	case Later(n.epoch, at.Epoch):
		g.order.Unlock()
		return // we know better, and look again
	case n.loose.Load() && !Later(at.Epoch, n.was):
		g.order.Unlock()
		return // it was not loose yet when the log was asked: that is asked again
	default:
		from := at
		if n.was != "" && n.was != at.Epoch {
			from.Offset = 0 // all of the new epoch
		}
		if n.epoch != at.Epoch {
			n.outdate()
		}
		if n.born == "" {
			n.born = at.Epoch
		}
		n.epoch, n.was, n.base, n.mine = at.Epoch, at.Epoch, from.Offset, w.last.Load()
		n.ready.Store(true)
		n.loose.Store(false)
		before := g.pos
		s.rooms.place(g, from)
		if before.Epoch != "" {
			s.repositioned(g, n.lacks)
		}
		n.lacks = false
		for offset := range n.ahead {
			if offset <= from.Offset {
				delete(n.ahead, offset)
			}
		}
		n.tell()
	}
	s.settle(g)
	from := g.pos
	g.order.Unlock()
	if from.Epoch == at.Epoch && from.Offset < at.Offset {
		w.fill(ctx, s, name, from)
	}
}

// fill reads what is missing of a group behind a position.
func (w *scribe) fill(ctx context.Context, s *Server, name string, from Position) {
	list, gap, err := w.log.Since(ctx, name, from)
	if err != nil {
		w.need(name)
		return
	}
	for i, r := range list {
		a, err := parseArrival(r.Body)
		if err != nil {
			s.log.Warn("record of a group cannot be read", "group", name, "err", err)
			continue
		}
		if i == 0 && gap {
			w.skip(s, name, from, r.At)
		}
		s.count.filled.Add(1)
		s.placed(name, r.At, a)
	}
}

// skip goes on at a place of a group behind which the log has nothing that came before.
func (w *scribe) skip(s *Server, name string, from, to Position) {
	g := s.rooms.find(name)
	if g == nil || g.num == nil {
		return
	}
	g.order.Lock()
	defer g.order.Unlock()
	if g.num.ready.Load() && g.pos == from && to.Epoch == from.Epoch && to.Offset > from.Offset {
		s.count.passed.Add(to.Offset - from.Offset - 1)
		g.num.base, g.num.mine = to.Offset-1, w.last.Load()
		s.rooms.place(g, Position{to.Epoch, to.Offset - 1})
		s.repositioned(g, true)
	}
}
