package signalr

import (
	"context"
	"errors"
)

// repositioned tells the members of a numbered group where it stands now, between the
// events where that is so; gap: some before may be missing. Who counts goes on from there:
// what this server sends while the log is away no other one has counted. The group's order
// is held.
func (s *Server) repositioned(g *group, gap bool) {
	members := s.rooms.members(g)
	if s.cfg.Repositioned == nil || len(members) == 0 {
		return
	}
	name, args := s.cfg.Repositioned(g.name, g.pos, gap)
	if name == "" {
		return
	}
	e := newEvent(name, args)
	fan := s.writers.fan(len(members))
	defer fan.end()
	for _, c := range members {
		s.sendTo(c, e, fan)
	}
}

// gone notes that an event was waited for in vain.
func (s *Server) gone(g *group) {
	s.count.passed.Add(1)
	s.repositioned(g, true)
}

// setBack tells whether a place that the log has just given out is one that it had given
// out before: it has lost its newest events, as a copy does that was behind, and would go
// on as if they had never been. The order is held.
func (n *numbering) setBack(at, pos Position, a *arrival) bool {
	return n.ready.Load() && at.Epoch == pos.Epoch && at.Offset <= pos.Offset && !n.knows(a) &&
		(at.Offset > n.base || a.head.From == n.own && a.head.ID > n.mine)
}

// heldBefore tells whether a group stood behind a place already.
func (s *Server) heldBefore(group string, at Position, a *arrival) bool {
	g := s.rooms.find(group)
	if g == nil || g.num == nil {
		return false
	}
	g.order.Lock()
	defer g.order.Unlock()
	return g.num.setBack(at, g.pos, a)
}

// errSetBack is why an event goes out without the place that it got.
var errSetBack = errors.New("log of groups was set back")

// setBack has a group count anew that the log has at an earlier place than it had it.
func (s *Server) setBack(name string, at Position) {
	g := s.rooms.find(name)
	if g == nil || g.num == nil {
		return
	}
	g.order.Lock()
	defer g.order.Unlock()
	if !g.num.ready.Load() || g.pos.Epoch != at.Epoch {
		return
	}
	s.log.Warn("log of groups was set back", "group", name, "n", g.pos.Offset-at.Offset)
	s.goLoose(g)
	s.scribe.need(name)
}

// finish reads what is left of a group's epoch that is over, which others may have written
// to while this server was cut off. What it hands over has no place here any more.
func (w *scribe) finish(ctx context.Context, s *Server, g *group, next Position) {
	g.order.Lock()
	n := g.num
	from, over := Position{n.was, n.seen}, n.was != "" && Later(next.Epoch, n.was) && !Later(n.epoch, next.Epoch)
	if g.pos.Epoch == n.was {
		from.Offset = g.pos.Offset
	}
	g.order.Unlock()
	if !over {
		return
	}
	known := from // the last that is known is read too: where it is there, none is gone
	known.Offset -= min(known.Offset, 1)
	list, _, err := w.log.Since(ctx, g.name, known)
	g.order.Lock()
	defer g.order.Unlock()
	n.lacks = n.lacks || err != nil || len(list) == 0
	for i, r := range list {
		n.lacks = n.lacks || r.At.Offset != max(from.Offset, 1)+uint64(i)
		if r.At.Offset <= from.Offset {
			continue
		}
		if a, err := parseArrival(r.Body); err == nil && !n.knows(a) {
			s.count.filled.Add(1)
			n.park(a)
		}
	}
	s.settle(g)
}
