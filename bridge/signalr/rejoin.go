package signalr

import (
	"context"
	"errors"
	"slices"
	"time"
)

// errLog is why a position could not be had.
var errLog = errors.New("log of groups does not answer")

// JoinAt is [Conn.Join] that waits for the position of a group that a [Log] numbers, for
// as long as the log may take. Of any other group it is Join.
func (c *Conn) JoinAt(name string) (Position, error) {
	if !c.s.numbers(name) {
		return c.Join(name)
	}
	if err := c.permitGroup(name); err != nil {
		return Position{}, err
	}
	_, letGo, err := c.s.hold(c, name)
	if err != nil {
		return Position{}, err
	}
	defer letGo()
	return c.Join(name)
}

// Began answers from where on a numbered group has given its events to members here: where
// it stood when the first of them came, if it has counted on since. It is the position of a
// [Conn.Join] that did not wait for it. False where it is not known yet, or the group is
// not numbered by a [Log].
func (s *Server) Began(name string) (Position, bool) {
	g := s.rooms.find(name)
	if g == nil || g.num == nil {
		return Position{}, false
	}
	g.order.Lock()
	defer g.order.Unlock()
	return Position{Epoch: g.num.epoch, Offset: g.num.base}, g.num.ready.Load()
}

// hold keeps a numbered group awake, and waits until its position is known.
func (s *Server) hold(c *Conn, name string) (g *group, letGo func(), err error) {
	g = s.rooms.hold(name)
	letGo = func() { s.rooms.letGo(g) }
	patience := time.NewTimer(logPatience)
	defer patience.Stop()
	select {
	case <-g.num.news:
		return g, letGo, nil
	case <-c.ctx.Done():
		err = ErrClosed
	case <-patience.C:
		err = errLog
	}
	letGo()
	return nil, nil, err
}

// joinSinceNumbered is [Conn.JoinSince] for a numbered group. What lies before the time
// at which this server began to listen is read from the log, without holding up the
// group; the rest is in the server's own history.
func (c *Conn) joinSinceNumbered(name string, from Position) (at Position, gap bool, err error) {
	g, letGo, err := c.s.hold(c, name)
	if err != nil {
		return Position{}, false, err
	}
	defer letGo()
	c.reach(g, from)
	g.order.Lock()
	epoch, base := g.pos.Epoch, g.num.base
	g.order.Unlock()
	var list []Past
	var missing bool
	if epoch == from.Epoch && from.Offset < base {
		if list, missing, err = c.s.pastOf(c.ctx, name, from); err != nil {
			list, missing = nil, true
		}
	}
	g.order.Lock()
	defer g.order.Unlock()
	if at, err = c.s.rooms.join(name, c); err != nil {
		return at, false, err
	}
	c.s.rooms.choose(name, c, nil)
	if at.Epoch != from.Epoch || from.Offset > at.Offset {
		return at, true, nil
	}
	list = slices.DeleteFunc(list, func(p Past) bool { return p.At.Epoch != at.Epoch || p.At.Offset > at.Offset })
	if len(list) > 0 {
		from = list[len(list)-1].At
	}
	from.Offset = max(from.Offset, min(base, at.Offset))
	return at, c.catchUp(name, from, at, list...) || missing, nil
}

// reach looks at the log where a client was further than this server is: the node that
// it comes from has read there what is still on its way here.
func (c *Conn) reach(g *group, from Position) {
	g.order.Lock()
	behind := Later(from.Epoch, g.pos.Epoch) || from.Epoch == g.pos.Epoch && from.Offset > g.pos.Offset
	g.order.Unlock()
	if w := c.s.scribe; behind && !w.away.Load() {
		ctx, stop := context.WithTimeout(c.ctx, logPatience)
		defer stop()
		w.look(ctx, c.s, []string{g.name})
	}
}

// pastOf reads what the log has of a group behind a position.
func (s *Server) pastOf(ctx context.Context, name string, from Position) (list []Past, gap bool, err error) {
	ctx, stop := context.WithTimeout(ctx, logPatience)
	defer stop()
	records, gap, err := s.scribe.log.Since(ctx, name, from)
	for _, r := range records {
		a, err := parseArrival(r.Body)
		if err == nil {
			err = a.e.prepare(1 << dialect(codecs[0]))
		}
		if err != nil {
			gap = true
			continue
		}
		list = append(list, Past{At: r.At, Event: a.e.m.Target, Args: a.e.arguments()})
	}
	return list, gap, err
}
